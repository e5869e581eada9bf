/** The path that media takes. */
export interface PairStats {
  /** `relay`, `host`, `srflx` or `prflx`. */
  localType: string;
  /** Transport between this client and the TURN server, or the peer when nothing is relayed. */
  protocol: string;
  localAddress: string | undefined;
  remoteAddress: string | undefined;
  rttMs: number | undefined;
  availableOutgoingBps: number | undefined;
}

interface TrackStats {
  kind: 'audio' | 'video';
  /** Since the last call of `stats()`; 0 on the first. */
  bitrateBps: number;
  packetsLost: number;
  width: number | undefined;
  height: number | undefined;
  framesPerSecond: number | undefined;
}

/** What arrives of one remote track. */
export interface InboundStats extends TrackStats {
  trackId: string;
  peerId: string;
  jitterMs: number | undefined;
  framesDecoded: number;
  keyFramesDecoded: number;
  freezeCount: number;
  /** Sum of the squared audio level over time; rises as long as something is heard. */
  totalAudioEnergy: number;
  audioLevel: number | undefined;
}

/** What is sent of one local track. */
export interface OutboundStats extends TrackStats {
  trackId: string | undefined;
  source: string;
  framesEncoded: number;
  /** `none`, `cpu`, `bandwidth` or `other`. */
  limitedBy: string | undefined;
  targetBitrateBps: number | undefined;
  /** Round trip as the server's receiver reports tell it. */
  rttMs: number | undefined;
  /** Its simulcast layers from the smallest picture up, by themselves; empty without. The rest is of all of them. */
  layers: OutboundLayerStats[];
}

/** One simulcast layer that is sent, or could be. */
export interface OutboundLayerStats {
  rid: string;
  /** False while nobody watches it. */
  active: boolean;
  bitrateBps: number;
  width: number | undefined;
  height: number | undefined;
  framesPerSecond: number | undefined;
  framesEncoded: number;
}

export interface RoomStats {
  pair: PairStats | undefined;
  inbound: InboundStats[];
  outbound: OutboundStats[];
}

/** The members of RTCStats dictionaries that are read here; a browser may leave out any of them. */
interface Raw {
  id: string;
  type: string;
  timestamp: number;
  [member: string]: unknown;
}

/** Whose media an RTP stream is. */
export interface StreamOwners {
  inbound(
    mid: string | undefined,
    trackIdentifier: string | undefined,
  ): { trackId: string; peerId: string } | undefined;
  outbound(mid: string | undefined): { trackId: string | undefined; source: string } | undefined;
}

/** Reads RTCStatsReports; keeps the last byte counts for the bit rates. One per RTCPeerConnection. */
export class StatsReader {
  readonly #last = new Map<string, { bytes: number; atMs: number; bitrateBps: number }>();

  read(report: Iterable<[string, unknown]>, owners: StreamOwners): RoomStats {
    const all = new Map<string, Raw>();
    for (const [id, raw] of report) all.set(id, raw as Raw);
    const inbound: InboundStats[] = [];
    const sent = new Map<unknown, Raw[]>();
    for (const raw of all.values()) {
      if (raw.type === 'inbound-rtp') {
        const owner = owners.inbound(text(raw.mid), text(raw.trackIdentifier));
        if (owner) inbound.push(this.#inbound(raw, owner));
      } else if (raw.type === 'outbound-rtp') {
        sent.set(raw.mid ?? raw.id, [...(sent.get(raw.mid ?? raw.id) ?? []), raw]);
      }
    }
    const outbound = [...sent.values()].flatMap((streams) => {
      const owner = owners.outbound(text(streams[0]?.mid));
      return owner ? [this.#outbound(streams, owner, all)] : [];
    });
    return { pair: selectedPair(all), inbound, outbound };
  }

  #inbound(raw: Raw, owner: { trackId: string; peerId: string }): InboundStats {
    return {
      ...owner,
      ...this.#common(raw, 'bytesReceived'),
      packetsLost: number(raw.packetsLost) ?? 0,
      jitterMs: toMs(raw.jitter),
      framesDecoded: number(raw.framesDecoded) ?? 0,
      keyFramesDecoded: number(raw.keyFramesDecoded) ?? 0,
      freezeCount: number(raw.freezeCount) ?? 0,
      totalAudioEnergy: number(raw.totalAudioEnergy) ?? 0,
      audioLevel: number(raw.audioLevel),
    };
  }

  #outbound(
    streams: readonly Raw[],
    owner: { trackId: string | undefined; source: string },
    all: Map<string, Raw>,
  ): OutboundStats {
    const layers = streams
      .map((raw) => ({ raw, ...this.#common(raw, 'bytesSent'), report: all.get(text(raw.remoteId) ?? '') }))
      .sort((one, other) => (one.width ?? 0) - (other.width ?? 0));
    const sum = (of: (layer: (typeof layers)[number]) => number | undefined) =>
      layers.reduce((total, layer) => total + (of(layer) ?? 0), 0);
    const top = layers.findLast(({ bitrateBps }) => bitrateBps > 0) ?? (layers.at(-1) as (typeof layers)[number]);
    const { raw, report, kind, width, height, framesPerSecond } = top;
    return {
      ...owner,
      ...{ kind, width, height, framesPerSecond, bitrateBps: sum(({ bitrateBps }) => bitrateBps) },
      packetsLost: sum((layer) => number(layer.report?.packetsLost)),
      framesEncoded: number(raw.framesEncoded) ?? 0,
      limitedBy: text(raw.qualityLimitationReason),
      targetBitrateBps: number(raw.targetBitrate),
      rttMs: toMs(report?.roundTripTime),
      layers: layers.flatMap((layer) => layerStats(layer.raw, layer)),
    };
  }

  #common(raw: Raw, bytesMember: string) {
    const kind: 'audio' | 'video' = raw.kind === 'audio' ? 'audio' : 'video';
    return {
      kind,
      bitrateBps: this.#bitrate(raw.id, number(raw[bytesMember]) ?? 0, raw.timestamp),
      width: number(raw.frameWidth),
      height: number(raw.frameHeight),
      framesPerSecond: number(raw.framesPerSecond),
    };
  }

  #bitrate(id: string, bytes: number, atMs: number): number {
    const last = this.#last.get(id);
    // Two readers close together would divide by next to nothing: the rate of the moment before still holds.
    if (last && atMs - last.atMs < 250) return last.bitrateBps;
    const bitrateBps = last ? Math.max(0, Math.round(((bytes - last.bytes) * 8000) / (atMs - last.atMs))) : 0;
    this.#last.set(id, { bytes, atMs, bitrateBps });
    return bitrateBps;
  }
}

function layerStats(
  raw: Raw,
  common: Omit<OutboundLayerStats, 'rid' | 'active' | 'framesEncoded'>,
): OutboundLayerStats[] {
  const rid = text(raw.rid);
  if (rid === undefined) return [];
  const { bitrateBps, width, height, framesPerSecond } = common;
  const framesEncoded = number(raw.framesEncoded) ?? 0;
  return [{ rid, active: raw.active !== false, bitrateBps, width, height, framesPerSecond, framesEncoded }];
}

function selectedPair(all: Map<string, Raw>): PairStats | undefined {
  const values = [...all.values()];
  const transport = values.find((raw) => raw.type === 'transport' && raw.selectedCandidatePairId !== undefined);
  const pair =
    all.get(text(transport?.selectedCandidatePairId) ?? '') ??
    // Firefox has no transport statistics everywhere, but marks the pair.
    values.find((raw) => raw.type === 'candidate-pair' && raw.selected === true);
  const local = all.get(text(pair?.localCandidateId) ?? '');
  const remote = all.get(text(pair?.remoteCandidateId) ?? '');
  if (!pair || !local) return undefined;
  return {
    localType: text(local.candidateType) ?? 'unknown',
    protocol: text(local.relayProtocol) ?? text(local.protocol) ?? 'unknown',
    localAddress: endpoint(local),
    remoteAddress: remote && endpoint(remote),
    rttMs: toMs(pair.currentRoundTripTime),
    availableOutgoingBps: number(pair.availableOutgoingBitrate),
  };
}

function endpoint(candidate: Raw): string | undefined {
  const address = text(candidate.address);
  if (!address) return undefined;
  return `${address.includes(':') ? `[${address}]` : address}:${number(candidate.port) ?? 0}`;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Statistics carry seconds. */
function toMs(value: unknown): number | undefined {
  const seconds = number(value);
  return seconds === undefined ? undefined : Math.round(seconds * 10_000) / 10;
}
