import { VirtualClock } from '@orama/core';
import { SIGNALLING_CLOSE } from '@orama/protocol';
import { expect, test } from 'vitest';
import { RtcConnection, type RtcEvents } from '../rtc/connection.ts';
import { startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';

test('a fault in a timer of a peer ends that peer, and neither the process nor anybody else', async () => {
  let isFaulty = false;
  const states: string[] = [];
  const clock = new VirtualClock(Date.now());
  const sfu = await startSfu({ forceRelay: true, drainTimeoutMs: 1 }, clock, undefined, {
    connect: (options, events) => {
      const onState: RtcEvents['onState'] = (state) => {
        events.onState?.(state);
        states.push(state);
      };
      const connection = new RtcConnection(options, { ...events, onState });
      const selectedPair = connection.selectedPair.bind(connection);
      const faulty = () => {
        if (isFaulty) throw new Error('a fault of ours');
        return selectedPair();
      };
      return Object.assign(connection, { selectedPair: faulty });
    },
  });
  const [viewer, publisher] = [await TestPeer.join(sfu), await TestPeer.join(sfu)];
  await publisher.publish({ mid: '0', kind: 'audio', ssrc: 1_000_001 });
  await until('the media at the SFU', () => states.includes('connected'));
  isFaulty = true;
  // It looks whether the media comes through TURN.
  clock.advance(2_000);
  expect((await until('the end of one', () => publisher.closed)).code).toBe(SIGNALLING_CLOSE.protocolError);
  await viewer.next('peer-left', ({ peerId, reason }) => peerId === publisher.id && reason === 'protocol-error');
  viewer.send({ type: 'ping', id: 'still here' });
  await viewer.next('pong', ({ id }) => id === 'still here');
  isFaulty = false;
  await Promise.all([viewer.end(), publisher.end()]);
  const stopped = sfu.sfu.stop();
  clock.advance(1_000);
  await stopped;
});
