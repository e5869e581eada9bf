import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { ClientError } from '../errors.ts';
import { Channels } from './channels.ts';
import type { Platform } from './options.ts';
import { Room } from './room.ts';

/** What `Channels` uses of an RTCDataChannel. */
class ChannelEvents extends EventTarget {
  readonly label: string;
  readonly protocol: string;

  constructor(label: string, { protocol = '' }: RTCDataChannelInit) {
    super();
    this.label = label;
    this.protocol = protocol;
  }

  tell(type: 'open' | 'close'): void {
    this.dispatchEvent(new Event(type));
  }
}

/** A media session as far as channels go. */
function session() {
  const opened: { channel: ChannelEvents; init: RTCDataChannelInit }[] = [];
  const open = (label: string, init: RTCDataChannelInit) => {
    const channel = new ChannelEvents(label, init);
    opened.push({ channel, init });
    return channel as unknown as RTCDataChannel;
  };
  return { opened, open };
}

test('open() waits for a media session, and tells the server how to deliver and to whom', async () => {
  const channels = new Channels();
  const waiting = channels.open('state', { to: 'p_1', ordered: false, maxRetransmits: 0 });
  const { opened, open } = session();
  channels.use(open);
  const [first] = opened;
  expect(first?.init).toEqual({
    ...{ ordered: false, maxRetransmits: 0 },
    protocol: 'to=p_1&ordered=false&maxRetransmits=0',
  });
  first?.channel.tell('open');
  expect(await waiting).toBe(first?.channel);
});

test('open() without options asks for nothing', async () => {
  const channels = new Channels();
  const { opened, open } = session();
  channels.use(open);
  const waiting = channels.open('chat', {});
  expect(opened[0]?.init).toEqual({ protocol: '' });
  opened[0]?.channel.tell('open');
  await waiting;
});

test('a channel that was not open when the session went is opened in the next one', async () => {
  const channels = new Channels();
  const [first, second] = [session(), session()];
  channels.use(first.open);
  const waiting = channels.open('chat', {});
  channels.pause();
  first.opened[0]?.channel.tell('close');
  channels.use(second.open);
  second.opened[0]?.channel.tell('open');
  expect(await waiting).toBe(second.opened[0]?.channel);
});

test('open() rejects when the server closes the channel, when the browser refuses it, and when the room is left', async () => {
  const channels = new Channels();
  const { opened, open } = session();
  channels.use(open);
  const refused = channels.open('chat', {});
  opened[0]?.channel.tell('close');
  await expect(refused).rejects.toMatchObject({ code: 'not_allowed' });
  channels.use(() => {
    throw new TypeError('the label is too long');
  });
  await expect(channels.open('chat', {})).rejects.toMatchObject({ code: 'invalid_argument' });
  channels.pause();
  const waiting = channels.open('chat', {});
  channels.end(new ClientError('left', 'left the room'));
  await expect(waiting).rejects.toMatchObject({ code: 'left' });
});

test('receive() tells who opened a channel, and whether it is for us alone; a closed one is forgotten', () => {
  const channels = new Channels();
  const ada = { peerId: 'p_1', name: 'Ada', metadata: undefined, tracks: new Map() };
  const receive = (protocol: string) => {
    const channel = new ChannelEvents('chat', { protocol });
    const find = (peerId: string) => (peerId === 'p_1' ? ada : undefined);
    return { channel, received: channels.receive(channel as unknown as RTCDataChannel, find) };
  };
  const direct = receive('from=p_1&to=p_2');
  expect(direct.received).toMatchObject({ from: ada, fromPeerId: 'p_1', direct: true });
  const others = receive('from=p_3&ordered=false');
  expect(others.received).toMatchObject({ from: undefined, fromPeerId: 'p_3', direct: false });
  direct.channel.tell('close');
  expect(channels.received).toEqual([others.received]);
  channels.pause();
  expect(channels.received).toEqual([]);
});

test('a room that was joined without data channels opens none, and says why', async () => {
  const platform = { clock: new VirtualClock(), WebSocket, RTCPeerConnection: class {}, random: () => 0 };
  const options = { url: 'http://127.0.0.1', apiKey: 'k', room: 'r', platform: platform as unknown as Platform };
  const room = new Room({ ...options, channels: false });
  const joined = room.joined.catch(() => {});
  await expect(room.openChannel('chat')).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('channels: false'),
  });
  room.leave();
  await joined;
});
