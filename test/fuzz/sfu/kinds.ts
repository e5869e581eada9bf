import type { Mode } from './host.ts';

/** What each kind of input has of a hundred. Over the wire a client may send so many frames a second and no more. */
export const SHARES = {
  handed: { rtp: 50, rtcp: 22, messages: 8, frames: 8, offers: 3, answers: 2, candidates: 2, datagrams: 4, http: 1 },
  wire: { rtp: 60, rtcp: 24, messages: 5, frames: 3, offers: 1, answers: 1, candidates: 1, datagrams: 4, http: 1 },
} as const satisfies Record<Mode, object>;
export type InputKind = keyof (typeof SHARES)['handed'];
export const KINDS = Object.keys(SHARES.handed) as InputKind[];
