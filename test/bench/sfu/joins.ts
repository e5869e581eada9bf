import { setTimeout as wait } from 'node:timers/promises';
import { cpuUs, residentKb } from '../machine.ts';
import type { Part } from './part.ts';

/** Subscribers of one track each. */
export const JOINS = 50;
export const JOINS_AT_ONCE = 10;
/** Subscribers of many tracks each, for the memory that a track takes. */
const VIEWERS = 20;
export const VIEWED = 20;
/** One after the other, each in a room of its own: rooms give key frames only so often. */
export const SINGLE_JOINS = 20;
const WARM_UP = 10;
const FLOW_MS = 1_000;

/** Memory and processor time of subscribers, and how soon they are connected and see the first packet. */
export const JOINING: Part = {
  metrics: ['joins/s', 'cpuUs/join', 'kB/subscriber', 'kB/track', 'first packet p50 ms', 'first packet worst ms'],
  async run({ pid }, clients, record) {
    const { probe, crowd } = clients;
    const [single] = await clients.publish(1, 1);
    const [viewed] = await clients.publish(1, VIEWED);
    if (!single || !viewed) throw new Error('no room');
    // The first of a kind costs what all share: code that is compiled, tables that grow.
    for (const room of [single, viewed])
      await clients.whileSending(WARM_UP, clients.watch(probe, { rooms: Array(WARM_UP).fill(room), media: true }));

    let beforeKb = residentKb(pid);
    const beforeUs = cpuUs(pid);
    const singles = { rooms: Array(JOINS).fill(single), atOnce: JOINS_AT_ONCE, media: false };
    const { wallMs } = await clients.watch(crowd, singles);
    record.value('joins/s', (JOINS / wallMs) * 1000);
    record.value('cpuUs/join', (cpuUs(pid) - beforeUs) / JOINS);
    await clients.whileSending(JOINS, wait(FLOW_MS));
    const subscriberKb = (residentKb(pid) - beforeKb) / JOINS;
    record.value('kB/subscriber', subscriberKb);

    beforeKb = residentKb(pid);
    const viewers = clients.watch(crowd, { rooms: Array(VIEWERS).fill(viewed), media: true });
    await clients.whileSending(VIEWERS, viewers);
    await clients.whileSending(VIEWERS, wait(FLOW_MS));
    record.value('kB/track', ((residentKb(pid) - beforeKb) / VIEWERS - subscriberKb) / (VIEWED - 1));

    await clients.leave();
    const firstPackets: number[] = [];
    const rooms = await clients.publish(SINGLE_JOINS, 1);
    // No publisher is asked for a key frame so soon after its first.
    await clients.whileSending(1, wait(FLOW_MS));
    for (const room of rooms) {
      const joining = clients.watch(probe, { rooms: [room], media: true });
      firstPackets.push(...(await clients.whileSending(1, joining)).firstPacketMs);
    }
    firstPackets.sort((a, b) => a - b);
    record.value('first packet p50 ms', firstPackets[firstPackets.length >> 1] as number);
    record.value('first packet worst ms', firstPackets.at(-1) as number);
  },
};
