/** The raw TURN client; it lives with the bytes it speaks, so that a server can be checked with it too. */
export { type PeerData, TurnClient, type TurnClientOptions, TurnError } from '@orama/turn/client';
