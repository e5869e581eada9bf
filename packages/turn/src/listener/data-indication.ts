import { randomBytes } from 'node:crypto';
import {
  ATTRIBUTE,
  CLASS,
  type IcmpError,
  icmp,
  MAGIC_COOKIE,
  METHOD,
  messageType,
  padded,
  STUN_HEADER_BYTES,
  StunWriter,
  writeXorAddress,
} from '../stun/index.ts';

const DATA_INDICATION_TYPE = messageType(METHOD.data, CLASS.indication);
/** Header, XOR-PEER-ADDRESS with its largest (IPv6) value, and the header of DATA. */
export const DATA_HEADER_MAX_BYTES = STUN_HEADER_BYTES + 4 + 20 + 4;

/** The random part of our transaction ids; the rest counts up. An indication has no answer to guess at. */
const transactionPrefixHigh = randomBytes(4).readUInt32BE();
const transactionPrefixLow = randomBytes(4).readUInt32BE();
let transactionCounter = 0;

/** Room a Data indication with so much data needs at most. */
export function dataIndicationSize(dataBytes: number): number {
  return DATA_HEADER_MAX_BYTES + padded(dataBytes);
}

/**
 * Writes all of a Data indication (RFC 8656 section 11.3) that goes before its `dataBytes` of data and their padding to
 * the start of `target`; returns how much that is.
 */
export function writeDataHeader(target: Buffer, peerAddress: string, peerPort: number, dataBytes: number): number {
  target.writeUInt16BE(DATA_INDICATION_TYPE, 0);
  target.writeUInt32BE(MAGIC_COOKIE, 4);
  target.writeUInt32BE(transactionPrefixHigh, 8);
  target.writeUInt32BE(transactionPrefixLow, 12);
  transactionCounter = (transactionCounter + 1) >>> 0;
  target.writeUInt32BE(transactionCounter, 16);

  let end = STUN_HEADER_BYTES;
  target.writeUInt16BE(ATTRIBUTE.xorPeerAddress, end);
  const addressBytes = writeXorAddress(target, end + 4, peerAddress, peerPort);
  target.writeUInt16BE(addressBytes, end + 2);
  end += 4 + addressBytes;

  target.writeUInt16BE(ATTRIBUTE.data, end);
  target.writeUInt16BE(dataBytes, end + 2);
  end += 4;
  target.writeUInt16BE(end + padded(dataBytes) - STUN_HEADER_BYTES, 2);
  return end;
}

/** Writes a whole Data indication to the start of `target` and returns its size. */
export function writeDataIndication(target: Buffer, peerAddress: string, peerPort: number, data: Buffer): number {
  const dataStart = writeDataHeader(target, peerAddress, peerPort, data.length);
  const end = dataStart + padded(data.length);
  data.copy(target, dataStart);
  target.fill(0, dataStart + data.length, end);
  return end;
}

/** A Data indication that tells why data to a peer did not arrive (RFC 8656 section 11.5). */
export function icmpIndication(peerAddress: string, peerPort: number, error: IcmpError): Buffer {
  return new StunWriter(METHOD.data, CLASS.indication, randomBytes(12))
    .address(ATTRIBUTE.xorPeerAddress, peerAddress, peerPort)
    .bytes(ATTRIBUTE.icmp, icmp(error))
    .finish();
}
