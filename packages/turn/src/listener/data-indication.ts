import { randomFillSync } from 'node:crypto';
import {
  ATTRIBUTE,
  CLASS,
  MAGIC_COOKIE,
  METHOD,
  messageType,
  padded,
  STUN_HEADER_BYTES,
  writeXorAddress,
} from '../stun/index.ts';

const DATA_INDICATION_TYPE = messageType(METHOD.data, CLASS.indication);
/** Header, XOR-PEER-ADDRESS with its largest (IPv6) value, and the header of DATA. */
const OVERHEAD_MAX_BYTES = STUN_HEADER_BYTES + 4 + 20 + 4;

/** The random part of our transaction ids; the rest counts up. An indication has no answer to guess at. */
const transactionPrefix = randomFillSync(Buffer.alloc(8));
let transactionCounter = 0;

/** Room a Data indication with so much data needs at most. */
export function dataIndicationSize(dataBytes: number): number {
  return OVERHEAD_MAX_BYTES + padded(dataBytes);
}

/** Writes a Data indication (RFC 8656 section 11.3) to the start of `target` and returns its size. */
export function writeDataIndication(target: Buffer, peerAddress: string, peerPort: number, data: Buffer): number {
  target.writeUInt16BE(DATA_INDICATION_TYPE, 0);
  target.writeUInt32BE(MAGIC_COOKIE, 4);
  transactionPrefix.copy(target, 8);
  transactionCounter = (transactionCounter + 1) >>> 0;
  target.writeUInt32BE(transactionCounter, 16);

  let end = STUN_HEADER_BYTES;
  target.writeUInt16BE(ATTRIBUTE.xorPeerAddress, end);
  const addressBytes = writeXorAddress(target, end + 4, peerAddress, peerPort);
  target.writeUInt16BE(addressBytes, end + 2);
  end += 4 + addressBytes;

  target.writeUInt16BE(ATTRIBUTE.data, end);
  target.writeUInt16BE(data.length, end + 2);
  data.copy(target, end + 4);
  const dataEnd = end + 4 + data.length;
  end += 4 + padded(data.length);
  target.fill(0, dataEnd, end);

  target.writeUInt16BE(end - STUN_HEADER_BYTES, 2);
  return end;
}
