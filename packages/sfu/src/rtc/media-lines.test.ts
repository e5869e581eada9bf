import { expect, test } from 'vitest';
import { EXTENSION } from '../rtp/extensions.ts';
import { browserOffer } from '../testing/browser-offer.ts';
import type { Codec } from './codecs.ts';
import type { DownlinkPayloadTypes } from './downlink-spec.ts';
import { MediaLines } from './media-lines.ts';
import type { NativeTrack } from './native-track.ts';
import { type RemoteDescription, readDescription } from './sdp.ts';
import { RtcTrack } from './track.ts';

const OPUS: Codec = {
  ...{ name: 'opus', clockRate: 48_000, channels: 2, payloadType: 111, fmtp: '' },
  ...{ rtxPayloadType: undefined, feedback: [], key: 'opus/48000/2;' },
};
/** The numbers of what goes out: see FORWARDED_EXTENSION_IDS. */
const [AUDIO_LEVEL, SEND_TIME, NUMBER, PLAYOUT_DELAY] = [1, 2, 3, 5];

/** One audio track for a peer whose half of the m-line says `attributes` besides its codec. */
function offered() {
  const carrier = { isOpen: true, whenOpen: (run: () => void) => run() } as unknown as NativeTrack;
  const track = new RtcTrack('s0', 'audio', carrier);
  const lines = new MediaLines(
    16,
    () => track,
    () => true,
  );
  const agreed: DownlinkPayloadTypes[] = [];
  const { mid } = lines.addDownlink({
    ...{ kind: 'audio', codec: OPUS, cname: 'p', streamId: 'p', trackId: 't', onStopped: () => {} },
    onReady: (_track, _codec, payloadTypes) => agreed.push(payloadTypes),
  });
  const describe = (attributes: string[]) =>
    readDescription(
      browserOffer([
        { kind: 'audio', mid, direction: 'recvonly', attributes: ['a=rtpmap:111 opus/48000/2', ...attributes] },
      ]),
    );
  const answer = (...attributes: string[]) => {
    const [section] = describe(attributes).sections;
    lines.conclude(section as RemoteDescription['sections'][0], lines.wanted().get(mid) ?? null);
  };
  /** The peer offers, for a track of its own; ours is in it as well. Gives what we answer of its extensions. */
  const offer = (...attributes: string[]) => {
    const remote = describe(attributes);
    lines.apply(remote, lines.plan(remote), false);
    return lines.section(mid, remote.sections[0])?.ext?.map(({ value }) => value);
  };
  return { track, agreed, answer, offer };
}

const extension = (id: number, uri: string) => `a=extmap:${id} ${uri}`;
const LEVEL = extension(1, EXTENSION.audioLevel);
const TRANSPORT = extension(3, EXTENSION.transportSequence);
const isSent = (track: RtcTrack, id: number) => track.extensionIds?.[id] === id && (track.changedIds >> id) % 2 === 0;

test('header extensions are sent that the answer took, and no others', () => {
  const { track, answer } = offered();
  answer(LEVEL, TRANSPORT, extension(5, EXTENSION.playoutDelay));
  const sent = [AUDIO_LEVEL, SEND_TIME, NUMBER, PLAYOUT_DELAY].filter((id) => isSent(track, id));
  // Playout delay was not offered for audio.
  expect(sent).toEqual([AUDIO_LEVEL, NUMBER]);
});

test('a later answer or offer of the peer may take less, and the answer to that says so', () => {
  const { track, agreed, answer, offer } = offered();
  answer(LEVEL, TRANSPORT);
  answer(LEVEL, TRANSPORT);
  const before = track.extensionIds;
  expect([isSent(track, NUMBER), agreed.length]).toEqual([true, 2]);
  expect(offer(LEVEL, TRANSPORT, extension(2, EXTENSION.sendTime))).toEqual([AUDIO_LEVEL, NUMBER]);
  expect([track.extensionIds === before, agreed.length]).toEqual([true, 2]);
  expect(offer(LEVEL)).toEqual([AUDIO_LEVEL]);
  expect([isSent(track, AUDIO_LEVEL), isSent(track, NUMBER), agreed.length]).toEqual([true, false, 3]);
  answer(TRANSPORT);
  expect([isSent(track, AUDIO_LEVEL), isSent(track, NUMBER)]).toEqual([false, true]);
});

test('lost packets may be asked for where the answer says nack for the codec or for all of them', () => {
  const { agreed, answer } = offered();
  for (const feedback of ['111 nack', '* nack', '111 transport-cc', '111 nack pli', '96 nack'])
    answer(`a=rtcp-fb:${feedback}`);
  expect(agreed.map(({ nack }) => nack)).toEqual([true, true, false, false, false]);
});
