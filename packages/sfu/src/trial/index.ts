// A call to see whether calls work: what the command line uses.
export { TrialPeer, type TrialPeerOptions } from './trial-peer.ts';
