/**
 * Script that a page runs before its own: it keeps every RTCPeerConnection the page makes, so that the tests read
 * the browser's own numbers and need not believe the client's.
 */
export const KEEP_CONNECTIONS = `(() => {
  const Native = window.RTCPeerConnection;
  const connections = [];
  Object.defineProperty(window, '__connections', { value: connections });
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }
  };
})()`;

export interface InboundStats {
  kind: 'audio' | 'video';
  mid: string;
  packetsReceived: number;
  packetsLost: number;
  framesDecoded: number;
  frameWidth: number;
  frameHeight: number;
  keyFramesDecoded: number;
  freezeCount: number;
  totalAudioEnergy: number;
}

export interface OutboundStats {
  kind: 'audio' | 'video';
  mid: string;
  bytesSent: number;
  framesEncoded: number;
  frameWidth: number;
  frameHeight: number;
  targetBitrate: number;
}

export interface CandidateStats {
  type: string;
  address: string;
  port: number;
  /** Transport between client and TURN server; relay candidates only. */
  relayProtocol: string;
}

/** What the browser's getStats says of the page's newest connection. */
export interface ConnectionStats {
  /** How many connections the page made so far. */
  connections: number;
  /** Page time of this reading in Unix milliseconds. */
  atMs: number;
  state: string;
  inbound: InboundStats[];
  outbound: OutboundStats[];
  local: CandidateStats | null;
  remote: CandidateStats | null;
  roundTripTimeMs: number | null;
}

/** Expression that reads `ConnectionStats`; null while the page has no connection. */
export const READ_STATS = `(async () => {
  const connection = window.__connections.at(-1);
  if (!connection) return null;
  const all = [...(await connection.getStats()).values()];
  const byId = new Map(all.map((each) => [each.id, each]));
  const transport = all.find((each) => each.type === 'transport');
  const pair =
    byId.get(transport?.selectedCandidatePairId) ??
    all.find((each) => each.type === 'candidate-pair' && (each.selected || (each.nominated && each.state === 'succeeded')));
  const candidate = (id) => {
    const found = byId.get(id);
    return found
      ? { type: found.candidateType, address: found.address ?? '', port: found.port ?? 0, relayProtocol: found.relayProtocol ?? '' }
      : null;
  };
  return {
    connections: window.__connections.length,
    atMs: Date.now(),
    state: connection.connectionState,
    inbound: all.filter((each) => each.type === 'inbound-rtp').map((each) => ({
      kind: each.kind,
      mid: String(each.mid ?? ''),
      packetsReceived: each.packetsReceived ?? 0,
      packetsLost: each.packetsLost ?? 0,
      framesDecoded: each.framesDecoded ?? 0,
      frameWidth: each.frameWidth ?? 0,
      frameHeight: each.frameHeight ?? 0,
      keyFramesDecoded: each.keyFramesDecoded ?? 0,
      freezeCount: each.freezeCount ?? 0,
      totalAudioEnergy: each.totalAudioEnergy ?? 0,
    })),
    outbound: all.filter((each) => each.type === 'outbound-rtp').map((each) => ({
      kind: each.kind,
      mid: String(each.mid ?? ''),
      bytesSent: each.bytesSent ?? 0,
      framesEncoded: each.framesEncoded ?? 0,
      frameWidth: each.frameWidth ?? 0,
      frameHeight: each.frameHeight ?? 0,
      targetBitrate: each.targetBitrate ?? 0,
    })),
    local: candidate(pair?.localCandidateId),
    remote: candidate(pair?.remoteCandidateId),
    roundTripTimeMs: pair?.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000,
  };
})()`;
