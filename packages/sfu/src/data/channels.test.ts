import {
  CHANNEL_LABEL_MAX_BYTES,
  CHANNEL_MESSAGE_MAX_BYTES,
  CHANNEL_MESSAGE_RATE,
  MAX_CHANNELS_PER_PEER,
} from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RtcChannel } from '../rtc/channel.ts';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { type ReceivedChannel, TestPeer, until } from '../testing/test-peer.ts';

const MICROPHONE = { mid: '0', kind: 'audio', ssrc: 1_000_001 } as const;

describe('data channels', () => {
  let sfu: RunningSfu;
  let peers: TestPeer[] = [];
  const join = async (...args: Parameters<typeof TestPeer.join> extends [RunningSfu, ...infer R] ? R : never) => {
    const peer = await TestPeer.join(sfu, ...args);
    peers.push(peer);
    return peer;
  };
  const metric = async (name: string) => {
    const { body } = await sfu.http('GET', '/metrics');
    return Number(new RegExp(`^orama_sfu_${name}(?:\\{.*\\})? (\\d+)$`, 'm').exec(String(body))?.[1]);
  };
  beforeEach(async () => {
    sfu = await startSfu();
  });
  afterEach(async () => {
    for (const peer of peers) expect(peer.faults).toEqual([]);
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    expect(await metric('data_channels')).toBe(0);
    expect(await metric('data_channel_legs')).toBe(0);
    await sfu.sfu.stop();
  });

  test('one without a "to" goes to everybody else, who can tell its origin; text and binary are kept apart', async () => {
    const [ann, bob, cem] = [await join(), await join(), await join()];
    const chat = await ann.openChannel('chat');
    const sent = ['hello', '', Buffer.from([1, 2, 3]), Buffer.alloc(0), 'äöü'];
    for (const message of sent) chat.channel.send(message);
    for (const receiver of [bob, cem]) {
      const copy = await receiver.channelFrom(ann.id, 'chat');
      expect(copy.channel.protocol).toBe(`from=${ann.id}`);
      await until('all messages', () => copy.messages.length === sent.length);
      expect(copy.messages).toEqual(sent);
    }
    expect(ann.channels).toEqual([]);
    expect(await metric('data_channels')).toBe(1);
    expect(await metric('data_channel_legs')).toBe(2);
    expect(await metric('data_messages_in_total')).toBe(5);
    expect(await metric('data_messages_out_total')).toBe(10);
  });

  test('one for a single peer reaches that peer only, and carries its answers', async () => {
    const [ann, bob, cem] = [await join(), await join(), await join()];
    const direct = await ann.openChannel('secret', `to=${bob.id}`);
    direct.channel.send('psst');
    const copy = await bob.channelFrom(ann.id, 'secret');
    expect(new URLSearchParams(copy.channel.protocol).get('to')).toBe(bob.id);
    await until('the message', () => copy.messages[0] === 'psst');
    copy.channel.send('what?');
    await until('the answer', () => direct.messages[0] === 'what?');
    expect(cem.channels).toEqual([]);
    copy.channel.close();
    await until('its end', () => direct.closed);
  });

  test('whoever comes later gets the channels that were opened before, and no message from before', async () => {
    const ann = await join();
    const bob = await join();
    const chat = await ann.openChannel('chat');
    await ann.openChannel('secret', `to=${bob.id}`);
    chat.channel.send('before');
    const heard = await bob.channelFrom(ann.id, 'chat');
    await until('the first', () => heard.messages.length === 1);
    const late = await join();
    await late.publish(MICROPHONE);
    const copy = await late.channelFrom(ann.id, 'chat');
    chat.channel.send('after');
    await until('the second', () => copy.messages.length === 1);
    expect(copy.messages).toEqual(['after']);
    expect(late.channels).toHaveLength(1);
  });

  test('what is sent while a receiver has no data m-line yet waits for it, also where offers cross', async () => {
    const ann = await join();
    const chat = await ann.openChannel('chat');
    const bob = new TestPeer(sfu.connect());
    peers.push(bob);
    await until('open', () => bob.socket.readyState === 1);
    bob.answersOffers = false;
    bob.send({ type: 'join' });
    await bob.next('welcome');
    await until('the copy', async () => (await metric('data_channel_legs')) === 1);
    for (let i = 0; i < 20; i++) chat.channel.send(`message ${i}`);
    await bob.next('offer');
    bob.answersOffers = true;
    await bob.publish(MICROPHONE);
    const copy = await bob.channelFrom(ann.id, 'chat');
    await until('all messages', () => copy.messages.length === 20);
    expect(copy.messages).toEqual(Array.from({ length: 20 }, (_, i) => `message ${i}`));
  });

  test('a peer that only receives media has a data m-line from the first offer on, and opens channels long after', async () => {
    const [ann, bob] = [await join(), await join()];
    await ann.publish(MICROPHONE);
    await bob.trackOf(ann.id, 'audio');
    await until('both to be connected', () => [ann, bob].every(({ states }) => states.includes('connected')));
    const late = new RtcChannel('late', '', (thrown) => bob.faults.push(thrown));
    bob.connection.openChannel(late, { ordered: true });
    await until('the channel to open', () => late.isOpen);
    expect(bob.frames.filter(({ type }) => type === 'answer')).toEqual([]);
  });

  test('a peer that joined with channels: false is offered media only, and gets no copies; the others do', async () => {
    const dan = await join({}, { channels: false });
    await dan.publish(MICROPHONE);
    const [ann, bob, cem] = [await join(), await join({}, { channels: false }), await join()];
    const chat = await ann.openChannel('chat');
    await bob.trackOf(dan.id, 'audio');
    await until('bob to be connected', () => bob.states.includes('connected'));
    chat.channel.send('hello');
    const copy = await cem.channelFrom(ann.id, 'chat');
    await until('the message', () => copy.messages[0] === 'hello');
    const offers = bob.frames.filter((frame) => frame.type === 'offer');
    expect(offers.length).toBeGreaterThan(0);
    for (const { sdp } of offers) expect(sdp).not.toContain('m=application');
    expect(bob.channels).toEqual([]);
    expect(await metric('data_channel_legs')).toBe(1);
  });

  test('a data m-line that comes to a connection that stands is refused with an error, and costs nothing else', async () => {
    const [ann, bob] = [await join(), await join()];
    await ann.publish(MICROPHONE);
    const { mid } = await bob.trackOf(ann.id, 'audio');
    await until('ann to be connected', () => ann.states.includes('connected'));
    const late = new RtcChannel('late', '', (thrown) => ann.faults.push(thrown));
    ann.connection.openChannel(late, { ordered: true });
    ann.offer();
    const { message } = await ann.next('error', ({ code }) => code === 'invalid_state');
    expect(message).toContain('m=application');
    let sequence = 0;
    const answers = ann.frames.filter((frame) => frame.type === 'answer');
    expect(answers.at(-1)?.sdp).toContain('m=application 0 ');
    await until('the media to go on', () => {
      ann.sendPacket(MICROPHONE.mid, ++sequence);
      return bob.packets(mid).length > 0;
    });
  });

  test('a copy delivers as its opener said', async () => {
    const [ann, bob] = [await join(), await join()];
    await ann.openChannel('state', 'ordered=false&maxRetransmits=0', { ordered: false, maxRetransmits: 0 });
    const { channel } = await bob.channelFrom(ann.id, 'state');
    expect(Object.fromEntries(new URLSearchParams(channel.protocol))).toEqual({
      ...{ from: ann.id, ordered: 'false', maxRetransmits: '0' },
    });
  });

  test('closing ends every copy; a receiver that closes its own ends nothing for others', async () => {
    const [ann, bob, cem] = [await join(), await join(), await join()];
    const chat = await ann.openChannel('chat');
    const [first, second] = [await bob.channelFrom(ann.id, 'chat'), await cem.channelFrom(ann.id, 'chat')];
    first.channel.close();
    await until('one copy to be left', async () => (await metric('data_channel_legs')) === 1);
    chat.channel.send('still here');
    await until('the message', () => second.messages.length === 1);
    expect(chat.closed).toBe(false);
    chat.channel.close();
    await until('the end of the other', () => second.closed);
  });

  test('the channels of a peer that leaves, or is cut off, end for the others', async () => {
    const [ann, bob, cem] = [await join(), await join(), await join()];
    await ann.openChannel('chat');
    await cem.openChannel('chat');
    const [fromAnn, fromCem] = [await bob.channelFrom(ann.id, 'chat'), await bob.channelFrom(cem.id, 'chat')];
    await ann.end();
    await until('the end', () => fromAnn.closed);
    await sfu.http('POST', '/rooms/kick', { room: 'lobby', peerId: cem.id, banSec: 0 });
    await until('the end', () => fromCem.closed);
    expect(await metric('data_channels')).toBe(0);
  });

  test('a copy of a channel for everybody goes one way, and its receiver is told so once', async () => {
    const [ann, bob] = [await join(), await join()];
    const chat = await ann.openChannel('chat');
    const copy = await bob.channelFrom(ann.id, 'chat');
    copy.channel.send('me too');
    copy.channel.send('me too');
    await bob.next('error', ({ code, message }) => code === 'forbidden' && message.includes('"chat"'));
    await until('both to be counted', async () => (await metric('data_messages_dropped_total')) === 2);
    expect(bob.frames.filter(({ type }) => type === 'error')).toHaveLength(1);
    expect(chat.messages).toEqual([]);
  });

  test.each([
    ['for a peer that is not in the room', 'x', 'to=p_nobody', 'unknown_peer'],
    ['with a protocol field that says nothing sensible', 'x', 'ordered=perhaps', 'invalid_message'],
    ['with a label over the limit', 'l'.repeat(CHANNEL_LABEL_MAX_BYTES + 1), '', 'frame_too_large'],
  ])('one %s is closed, and why is told', async (_what, label, protocol, code) => {
    const [ann, bob] = [await join(), await join()];
    const refused = await ann.openChannel(label, protocol);
    await ann.next('error', (frame) => frame.code === code);
    await until('the end', () => refused.closed);
    await ann.openChannel('l'.repeat(CHANNEL_LABEL_MAX_BYTES));
    await bob.channelFrom(ann.id, 'l'.repeat(CHANNEL_LABEL_MAX_BYTES));
    expect(bob.channels).toHaveLength(1);
  });

  test('a credential that may not send data has its channels closed, and gets those of others', async () => {
    const permissions = { publish: true, subscribe: true, data: false, admin: false };
    const [ann, bob] = [await join(), await join({ permissions })];
    const refused = await bob.openChannel('chat');
    await bob.next('error', ({ code }) => code === 'forbidden');
    await until('the end', () => refused.closed);
    const direct = await ann.openChannel('to bob', `to=${bob.id}`);
    const copy = await bob.channelFrom(ann.id, 'to bob');
    copy.channel.send('no');
    await bob.next('error', ({ message }) => message.includes('"to bob"'));
    expect(direct.messages).toEqual([]);
    expect(ann.channels).toEqual([]);
  });

  test('the channel over the limit of a peer is closed, those before it stay', async () => {
    const ann = await join();
    const opened: ReceivedChannel[] = [];
    for (let i = 0; i <= MAX_CHANNELS_PER_PEER; i++) opened.push(await ann.openChannel(`channel ${i}`));
    await ann.next('error', ({ code }) => code === 'too_many_channels');
    await until('the end of the last', () => opened.at(-1)?.closed);
    expect(opened.filter(({ closed }) => closed)).toHaveLength(1);
    opened[0]?.channel.close();
    await until('room for another', async () => (await metric('data_channels')) === MAX_CHANNELS_PER_PEER - 1);
    expect((await ann.openChannel('another')).closed).toBe(false);
  });

  test('a message of exactly the limit arrives whole', async () => {
    const [ann, bob] = [await join(), await join()];
    const chat = await ann.openChannel('file');
    const message = Buffer.alloc(CHANNEL_MESSAGE_MAX_BYTES, 7);
    chat.channel.send(message);
    const copy = await bob.channelFrom(ann.id, 'file');
    await until('the message', () => copy.messages.length === 1);
    expect(message.equals(copy.messages[0] as Buffer)).toBe(true);
    expect(chat.channel.send(Buffer.alloc(CHANNEL_MESSAGE_MAX_BYTES + 1))).toBe(false);
  });

  test('over the rate an unreliable channel loses messages and a reliable one is closed', async () => {
    const [ann, bob] = [await join(), await join()];
    const state = await ann.openChannel('state', 'maxRetransmits=0', { maxRetransmits: 0 });
    const copy = await bob.channelFrom(ann.id, 'state');
    const count = CHANNEL_MESSAGE_RATE.burst + 200;
    for (let i = 0; i < count; i++) state.channel.send('x');
    await ann.next('error', ({ code, message }) => code === 'channel_rate_limited' && message.includes('dropped'));
    await until('the rest to be counted', async () => (await metric('data_messages_in_total')) === count);
    expect(state.closed).toBe(false);
    expect(await metric('data_messages_dropped_total')).toBeGreaterThan(0);
    expect(copy.messages.length).toBeLessThan(count);
    const chat = await ann.openChannel('chat');
    for (let i = 0; i < count && !chat.closed; i++) chat.channel.send('x');
    await ann.next(
      'error',
      ({ code, message }) => code === 'channel_rate_limited' && message.includes('"chat" was closed'),
    );
    await until('the end', () => chat.closed);
    expect(state.closed).toBe(false);
  });
});
