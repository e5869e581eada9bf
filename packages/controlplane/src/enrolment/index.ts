// What `orama node init|join` work with.
export { contains, freeAddress, isWithin, networkOf, networksOverlap } from './address.ts';
export { callEnrolment } from './client.ts';
export { parseJoinToken } from './join-token.ts';
export { digestOf } from './secret-files.ts';
