import { VirtualClock } from '@orama/core';
import type { ClientFrame } from '@orama/protocol';
import { describe, expect, test } from 'vitest';
import type { ClientError } from '../errors.ts';
import { Negotiator } from './negotiator.ts';

const OPUS = 'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n';
const OPUS_WITH_NACK = `${OPUS}a=rtcp-fb:111 nack\r\n`;

/** The signalling states of an RTCPeerConnection (W3C WebRTC 4.3.1), without media. It notices overlapping calls. */
class StateOnlyConnection {
  signalingState: RTCSignalingState = 'stable';
  localDescription: { type: string; sdp: string } | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  readonly candidates: unknown[] = [];
  /** What was set as it is, instead of what the browser would make. */
  readonly changed: (string | undefined)[] = [];
  /** It takes its descriptions only as it made them. */
  isStrict = false;
  #offers = 0;
  #busy = false;

  async createOffer(): Promise<RTCSessionDescriptionInit> {
    return { type: 'offer', sdp: OPUS };
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    return { type: 'answer', sdp: OPUS };
  }

  async setLocalDescription(description?: RTCSessionDescriptionInit): Promise<void> {
    if (description?.sdp && this.isStrict) throw new DOMException('changed', 'InvalidModificationError');
    if (description?.sdp) this.changed.push(description.sdp);
    await this.#exclusively(() => {
      if (description?.type === 'rollback') this.#go('have-local-offer', 'stable');
      else if (this.signalingState === 'have-remote-offer') {
        this.#go('have-remote-offer', 'stable');
        this.localDescription = { type: 'answer', sdp: `answer to ${this.remoteDescription?.sdp}` };
      } else {
        this.#go('stable', 'have-local-offer');
        this.localDescription = { type: 'offer', sdp: `offer ${++this.#offers}` };
      }
    });
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await this.#exclusively(() => {
      if (description.type === 'offer') this.#go('stable', 'have-remote-offer');
      else this.#go('have-local-offer', 'stable');
      this.remoteDescription = description;
    });
  }

  async addIceCandidate(candidate: unknown): Promise<void> {
    if (!this.remoteDescription) throw new Error('no remote description yet');
    this.candidates.push(candidate);
  }

  #go(from: RTCSignalingState, to: RTCSignalingState): void {
    if (this.signalingState !== from) throw new Error(`not possible in ${this.signalingState}`);
    this.signalingState = to;
  }

  async #exclusively(change: () => void): Promise<void> {
    if (this.#busy) throw new Error('two descriptions at once');
    this.#busy = true;
    await new Promise((resolve) => setImmediate(resolve));
    this.#busy = false;
    change();
  }
}

function setUp() {
  const pc = new StateOnlyConnection();
  const clock = new VirtualClock();
  const sent: ClientFrame[] = [];
  const failures: ClientError[] = [];
  const refusals: ClientError[] = [];
  const stable: string[] = [];
  const negotiator = new Negotiator(pc as unknown as RTCPeerConnection, clock, {
    send: (frame) => sent.push(frame),
    describeTracks: () => [{ mid: '0', source: 'camera' }],
    amendAnswer: (sdp) => `${sdp}, amended`,
    onStable: (side) => stable.push(side),
    onRefused: (error) => refusals.push(error),
    onFailure: (error) => failures.push(error),
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const summary = () => sent.map((frame) => ('sdp' in frame ? `${frame.type}: ${frame.sdp}` : frame.type));
  return { pc, clock, negotiator, sent, failures, refusals, stable, settle, summary };
}

const candidate = (text: string) => ({ type: 'ice-candidate', candidate: text }) as const;

describe('Negotiator', () => {
  test('turns several requests into one offer that says what its m-lines are', async () => {
    const { negotiator, sent, settle } = setUp();
    for (let each = 0; each < 3; each += 1) negotiator.request();
    await settle();
    expect(sent).toEqual([{ type: 'offer', sdp: 'offer 1', tracks: [{ mid: '0', source: 'camera' }] }]);
  });

  test('offers again after the answer when something changed meanwhile', async () => {
    const { pc, negotiator, settle, summary } = setUp();
    negotiator.request();
    await settle();
    negotiator.request();
    await settle();
    expect(summary()).toEqual(['offer: offer 1']);
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    await settle();
    expect(pc.remoteDescription).toEqual({ type: 'answer', sdp: 'a1, amended' });
    expect(summary()).toEqual(['offer: offer 1', 'offer: offer 2']);
  });

  test('asks for the retransmission of audio in its offers, and in answers to offers that have it', async () => {
    const { negotiator, pc, settle } = setUp();
    negotiator.request();
    await settle();
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    for (const sdp of [OPUS, OPUS_WITH_NACK]) negotiator.receiveOffer({ type: 'offer', sdp });
    await settle();
    expect(pc.changed).toEqual([OPUS_WITH_NACK, OPUS, OPUS_WITH_NACK]);
  });

  test('leaves its descriptions as they are for a browser that takes no others', async () => {
    const { negotiator, pc, settle, summary, failures } = setUp();
    pc.isStrict = true;
    negotiator.request();
    await settle();
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs 1' });
    await settle();
    expect(summary()).toEqual(['offer: offer 1', 'answer: answer to theirs 1']);
    expect([pc.changed, failures]).toEqual([[], []]);
  });

  test('ignores an offer that meets its own, and answers the one that follows', async () => {
    const { negotiator, settle, summary, failures, stable } = setUp();
    negotiator.request();
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs 1' });
    await settle();
    expect(summary()).toEqual(['offer: offer 1']);
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs 2' });
    await settle();
    expect(summary()).toEqual(['offer: offer 1', 'answer: answer to theirs 2']);
    expect(stable).toEqual(['offerer', 'answerer']);
    expect(failures).toEqual([]);
  });

  test('answers first when the offer was there before the own one was made', async () => {
    const { negotiator, settle, summary } = setUp();
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs' });
    negotiator.request();
    await settle();
    expect(summary()).toEqual(['answer: answer to theirs', 'offer: offer 1']);
  });

  test('keeps candidates until the description they belong to is there', async () => {
    const { negotiator, pc, settle } = setUp();
    negotiator.receiveCandidate(candidate('early 1'));
    negotiator.receiveCandidate(candidate('early 2'));
    await settle();
    expect(pc.candidates).toEqual([]);
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs' });
    negotiator.receiveCandidate(candidate('late'));
    await settle();
    expect(pc.candidates).toMatchObject([{ candidate: 'early 1' }, { candidate: 'early 2' }, { candidate: 'late' }]);
  });

  test('rolls a refused offer back, says why, and can offer again', async () => {
    const { negotiator, pc, settle, refusals, summary } = setUp();
    negotiator.request();
    await settle();
    expect(negotiator.receiveError({ type: 'error', code: 'invalid_offer', message: 'no codec' })).toBe(true);
    await settle();
    expect(pc.signalingState).toBe('stable');
    expect(refusals).toMatchObject([{ code: 'negotiation_failed', message: 'no codec' }]);
    negotiator.request();
    await settle();
    expect(summary()).toEqual(['offer: offer 1', 'offer: offer 2']);
  });

  test('leaves errors that are not about an offer to others', () => {
    const { negotiator } = setUp();
    expect(negotiator.receiveError({ type: 'error', code: 'unknown_track', message: '' })).toBe(false);
    expect(negotiator.receiveError({ type: 'error', code: 'invalid_offer', message: 'of a time before' })).toBe(false);
  });

  test('fails once when no answer comes', async () => {
    const { negotiator, clock, settle, failures } = setUp();
    negotiator.request();
    await settle();
    clock.advance(60_000);
    negotiator.request();
    await settle();
    expect(failures).toMatchObject([{ code: 'negotiation_failed' }]);
    expect(clock.pending).toBe(0);
  });

  test('resume() sends an unanswered offer again, and takes the answer that comes twice', async () => {
    const { negotiator, settle, summary, failures } = setUp();
    negotiator.request();
    await settle();
    negotiator.resume();
    await settle();
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    negotiator.receiveAnswer({ type: 'answer', sdp: 'a1' });
    await settle();
    expect(summary()).toEqual(['offer: offer 1', 'offer: offer 1']);
    expect(failures).toEqual([]);
  });

  test('does nothing after close()', async () => {
    const { negotiator, settle, sent, failures, clock } = setUp();
    negotiator.request();
    negotiator.close();
    negotiator.receiveOffer({ type: 'offer', sdp: 'theirs' });
    await settle();
    expect([...sent, ...failures]).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
