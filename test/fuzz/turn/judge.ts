import { ATTRIBUTE, CLASS, channelDataLength, isChannelData, METHOD, readIcmp, StunMessage } from '@orama/turn/stun';
import { Accusations } from '../accusations.ts';
import type { Questions } from './questions.ts';
import { PEER_IP, PEER_IP6, PEER_PORTS, REAL_PEER_IP } from './server-under-test.ts';

/** First byte of data from a peer that no permission lets through. */
export const FORBIDDEN_DATA = 0xee;

const PEERS: readonly string[] = [PEER_IP, PEER_IP6, REAL_PEER_IP];
/** Relay addresses that are remembered. */
const REMEMBERED = 16;

/** Who gets a packet: what it has asked, and what is true of it. */
export interface Recipient {
  readonly questions: Questions;
  /** Its side of the 5-tuple. */
  readonly address: string;
  readonly port: number;
  /** Key of its credentials. */
  readonly key: Buffer;
}

/** Judges every packet the server sends. Throws nothing: it keeps what is wrong. */
export class Judge extends Accusations {
  /** Answers so far, by error code (0: success). */
  readonly answers = new Map<number, number>();
  relayedToClient = 0;
  relayedToPeer = 0;
  /** The IPv4 relay addresses that were given out last. */
  readonly relayed: { readonly port: number }[] = [];

  /** A packet or frame to a client; gives it back when it is an answer. */
  toClient(packet: Buffer, client: Recipient): StunMessage | undefined {
    if (packet.length > 0 && isChannelData(packet[0] as number)) {
      const length = channelDataLength(packet, packet.length);
      if (length < 0) this.accuse('ChannelData that is cut short');
      this.#judgeData(packet.subarray(4, 4 + length));
      return undefined;
    }
    const message = StunMessage.parse(packet);
    if (message === undefined) {
      this.accuse(`a message that cannot be parsed: ${packet.toString('hex')}`);
    } else if (message.cls === CLASS.indication) {
      this.#judgeIndication(message);
    } else if (message.cls === CLASS.request) {
      this.accuse('a request from the server');
    } else {
      this.#judgeAnswer(message, client);
      return message;
    }
    return undefined;
  }

  /** A packet out of a relay port. */
  toPeer(address: string, port: number): void {
    this.relayedToPeer++;
    if (PEERS.includes(address) && port >= PEER_PORTS.start && port <= PEER_PORTS.end) return;
    this.accuse(`a packet to ${address}:${port}, which the policy does not allow`);
  }

  #judgeAnswer(message: StunMessage, { questions, address, port, key }: Recipient): void {
    const code = message.cls === CLASS.error ? (message.errorCode ?? -1) : 0;
    this.answers.set(code, (this.answers.get(code) ?? 0) + 1);
    if (code === 500) this.accuse('an answer of 500');
    const fault = questions.fault(message);
    if (fault !== undefined) this.accuse(fault);
    if (message.integrity !== undefined && !message.integrityMatches(key))
      this.accuse('an answer sealed with another key');
    const relayed = message.address(ATTRIBUTE.xorRelayedAddress);
    if (relayed !== undefined) this.relayed.push(relayed);
    if (this.relayed.length > REMEMBERED) this.relayed.shift();
    const mapped = message.address(ATTRIBUTE.xorMappedAddress);
    if (mapped !== undefined && (mapped.address !== address || mapped.port !== port)) {
      this.accuse(`${mapped.address}:${mapped.port} told to ${address}:${port}`);
    }
  }

  #judgeIndication(message: StunMessage): void {
    const data = message.bytes(ATTRIBUTE.data);
    const icmp = message.bytes(ATTRIBUTE.icmp);
    const peer = message.address(ATTRIBUTE.xorPeerAddress);
    if (message.method !== METHOD.data) this.accuse(`an indication of method ${message.method}`);
    else if (peer === undefined || (data === undefined) === (icmp === undefined)) {
      this.accuse('a Data indication without peer, or not with either data or an ICMP error');
    } else if (data !== undefined) {
      this.#judgeData(data);
    } else if (!PEERS.includes(peer.address) || !icmp || readIcmp(icmp) === undefined) {
      this.accuse('an ICMP error that is none, or of somebody who is no peer');
    }
  }

  #judgeData(data: Buffer): void {
    this.relayedToClient++;
    if (data[0] === FORBIDDEN_DATA) this.accuse('data from a peer without permission');
  }
}
