import { CAMERA } from '@orama/testkit';

/** Two freezes between two looks count as one long one. */
const FREEZE_POLL_MS = 250;
/** A gap between two frames that is worth a line in the account of what happened, in ms. */
const NOTED_GAP_MS = 300;

/**
 * Script for a call page before it joins. It gives every browser a camera of the same size, keeps what the server says about tracks, and measures the gaps between the
 * frames that are really shown. What `getStats` calls a freeze (webrtc-stats, `freezeCount`: three times and 150 ms longer
 * than usual) is kept beside it, each for itself: the browsers tell only their number and their sum. What the connection and
 * the SDK said of themselves meanwhile is noted, so that a missed mark has a reason.
 */
export const INSTALL_METER = `(() => {
  const meter = { told: [], longestGapMs: 0, shown: 0, longestFreezeMs: 0, frozenMs: new Map(), last: new Map(), notes: [] };
  window.__meter = meter;
  const devices = navigator.mediaDevices;
  const getUserMedia = devices.getUserMedia.bind(devices);
  const video = { width: ${CAMERA.width}, height: ${CAMERA.height}, frameRate: ${CAMERA.framesPerSec} };
  devices.getUserMedia = () => getUserMedia({ video, audio: true });
  const Native = window.WebSocket;
  window.WebSocket = class WebSocket extends Native {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string') return;
        const frame = JSON.parse(data);
        if (frame.type === 'track-updated' || frame.type === 'quality' || frame.type === 'send-layers')
          meter.told.push({ atMs: Date.now(), frame });
      });
    }
  };
  const note = (text) => meter.notes.push({ atMs: Date.now(), text });
  const gap = (now, then) => {
    meter.longestGapMs = Math.max(meter.longestGapMs, now - then);
    if (now - then > ${NOTED_GAP_MS}) note('no new frame for ' + Math.round(now - then) + ' ms');
  };
  const known = new Set();
  const listen = () => {
    const room = window.orama?.room;
    if (room && !known.has(room)) {
      known.add(room);
      room.on('reconnecting', ({ reason }) => note('the SDK joins anew: ' + reason.message + ' (' + reason.hint + ')'));
      room.on('warning', ({ message }) => note('the SDK warns: ' + message));
    }
    for (const connection of window.__connections) {
      if (known.has(connection)) continue;
      known.add(connection);
      note('connection ' + window.__connections.length);
      connection.addEventListener('iceconnectionstatechange', () => note('ICE is ' + connection.iceConnectionState));
    }
  };
  const watch = (video) => {
    const step = (now) => {
      gap(now, meter.last.get(video) ?? now);
      meter.last.set(video, now);
      meter.shown += 1;
      video.requestVideoFrameCallback(step);
    };
    meter.last.set(video, undefined);
    video.requestVideoFrameCallback(step);
  };
  setInterval(() => {
    listen();
    for (const video of meter.last.keys()) if (!video.isConnected) meter.last.delete(video);
    for (const tile of document.querySelectorAll('.tile')) {
      const video = tile.querySelector('video');
      if (video && !tile.querySelector('.name').textContent.endsWith('(you)') && !meter.last.has(video)) watch(video);
    }
  }, 50);
  const readFreezes = async () => {
    const stats = await window.__connections.at(-1)?.getStats();
    for (const { type, id, totalFreezesDuration } of stats?.values() ?? []) {
      if (type !== 'inbound-rtp' || totalFreezesDuration === undefined) continue;
      const frozenMs = totalFreezesDuration * 1000;
      meter.longestFreezeMs = Math.max(meter.longestFreezeMs, frozenMs - (meter.frozenMs.get(id) ?? frozenMs));
      meter.frozenMs.set(id, frozenMs);
    }
  };
  meter.take = async (reset) => {
    await readFreezes();
    meter.poll ??= setInterval(() => void readFreezes(), ${FREEZE_POLL_MS});
    const now = performance.now();
    if (!reset) for (const then of meter.last.values()) if (then !== undefined) gap(now, then);
    const { longestGapMs, longestFreezeMs, shown } = meter;
    if (reset) {
      meter.longestGapMs = meter.longestFreezeMs = 0;
      meter.shown = 0;
      for (const [video, then] of meter.last) if (then !== undefined) meter.last.set(video, now);
    }
    return { longestGapMs, longestFreezeMs, shown };
  };
})()`;

export interface Outbound {
  kind: 'audio' | 'video';
  rid: string;
  active: boolean;
  bytesSent: number;
  targetBitrate: number;
  framesEncoded: number;
  keyFramesEncoded: number;
  frameHeight: number;
}

export interface Inbound {
  kind: 'audio' | 'video';
  /** Name on the tile that plays it. */
  from: string;
  packetsReceived: number;
  packetsLost: number;
  framesDecoded: number;
  keyFramesDecoded: number;
  frameHeight: number;
  freezeCount: number;
  freezesSec: number;
  concealedSamples: number;
  totalSamples: number;
  /** When what plays now was captured, on the sender's clock; 0 while that is not known. */
  playoutMs: number;
}

/** What the page's newest connection says of itself in `getStats`. */
export interface Reading {
  atMs: number;
  outbound: Outbound[];
  inbound: Inbound[];
}

/** Something that happened, in Unix milliseconds. */
export interface Note {
  atMs: number;
  text: string;
}

/** Expression that reads a `Reading`. */
export const READ = `(async () => {
  const connection = window.__connections.at(-1);
  const all = connection ? [...(await connection.getStats()).values()] : [];
  const tiles = [...document.querySelectorAll('.tile')];
  const plays = (tile, id) => [...tile.querySelectorAll('video, audio')].some(({ srcObject }) => srcObject?.getTrackById(id));
  const nameOf = (id) => tiles.find((tile) => plays(tile, id))?.querySelector('.name').textContent ?? '';
  const of = (type) => all.filter((each) => each.type === type);
  return {
    atMs: Date.now(),
    outbound: of('outbound-rtp').map((each) => ({
      kind: each.kind,
      rid: each.rid ?? '',
      active: each.active ?? true,
      bytesSent: each.bytesSent ?? 0,
      targetBitrate: each.targetBitrate ?? 0,
      framesEncoded: each.framesEncoded ?? 0,
      keyFramesEncoded: each.keyFramesEncoded ?? 0,
      frameHeight: each.frameHeight ?? 0,
    })),
    inbound: of('inbound-rtp').map((each) => ({
      kind: each.kind,
      from: nameOf(each.trackIdentifier),
      packetsReceived: each.packetsReceived ?? 0,
      packetsLost: each.packetsLost ?? 0,
      framesDecoded: each.framesDecoded ?? 0,
      keyFramesDecoded: each.keyFramesDecoded ?? 0,
      frameHeight: each.frameHeight ?? 0,
      freezeCount: each.freezeCount ?? 0,
      freezesSec: each.totalFreezesDuration ?? 0,
      concealedSamples: each.concealedSamples ?? 0,
      totalSamples: each.totalSamplesReceived ?? 0,
      playoutMs: each.estimatedPlayoutTimestamp ?? 0,
    })),
  };
})()`;
