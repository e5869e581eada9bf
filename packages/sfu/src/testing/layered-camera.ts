import { type TestPeer, VP8_DELTA, VP8_KEY } from './test-peer.ts';

const LAYERS = [
  { rid: 'q', ssrc: 1_000_100 },
  { rid: 'h', ssrc: 1_000_200 },
  { rid: 'f', ssrc: 1_000_300 },
];

/** A simulcast track of three layers, as a TestPeer publishes it. */
export const LAYERED_CAMERA = {
  mid: '0',
  kind: 'video',
  ssrc: 1_000_100,
  source: 'camera',
  layers: LAYERS,
} as const;

/**
 * Sends a frame of every layer that the SFU wants, 50 a second; its last byte is the layer's index.
 * @returns stops it
 */
export function sendLayers(publisher: TestPeer): () => void {
  let sequence = 0;
  let answered = 0;
  const keyFrameWanted = new Set(LAYERS.map(({ ssrc }) => ssrc));
  const timer = setInterval(() => {
    const requests = publisher.rtcp('0', 'pli');
    for (; answered < requests.length; answered++) keyFrameWanted.add(requests[answered]?.mediaSsrc as number);
    const demand = publisher.frames.filter((frame) => frame.type === 'send-layers').at(-1);
    sequence++;
    for (const [index, { rid, ssrc }] of LAYERS.entries()) {
      if (demand && !demand.rids.includes(rid)) {
        keyFrameWanted.add(ssrc);
        continue;
      }
      const payload = Buffer.concat([keyFrameWanted.delete(ssrc) ? VP8_KEY : VP8_DELTA, Buffer.from([index])]);
      publisher.sendPacket('0', sequence, { ssrc, payload, timestamp: sequence * 1_800 + index * 777 });
    }
  }, 20);
  return () => clearInterval(timer);
}

/** Index of the layer that a packet of `sendLayers` belongs to. */
export function layerOf(packet: { payload: Buffer } | undefined): number | undefined {
  return packet?.payload.at(-1);
}
