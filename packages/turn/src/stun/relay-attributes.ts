/** Protocol number of UDP, the only transport that is relayed. */
const TRANSPORT_UDP = 17;
/** The R bit of EVEN-PORT. */
const RESERVE_NEXT = 0x80;

/** Value of REQUESTED-TRANSPORT for UDP (RFC 8656 section 18.7). */
export function requestedTransport(): Buffer {
  return Buffer.from([TRANSPORT_UDP, 0, 0, 0]);
}

/** Whether a REQUESTED-TRANSPORT asks for UDP; `malformed` for a wrong size. */
export function readRequestedTransport(value: Buffer): 'udp' | 'other' | 'malformed' {
  if (value.length !== 4) return 'malformed';
  return value[0] === TRANSPORT_UDP ? 'udp' : 'other';
}

/** Value of EVEN-PORT (RFC 8656 section 18.5). */
export function evenPort(reserveNext: boolean): Buffer {
  return Buffer.from([reserveNext ? RESERVE_NEXT : 0]);
}

/** Whether an EVEN-PORT asks for the next port too; undefined for a wrong size. */
export function readEvenPort(value: Buffer): { reserveNext: boolean } | undefined {
  return value.length === 1 ? { reserveNext: ((value[0] as number) & RESERVE_NEXT) !== 0 } : undefined;
}

/** An ICMP error that a datagram to a peer brought about; the numbers mean what the peer's address family says. */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** Of "packet too big" and "fragmentation needed": the MTU of the next hop; otherwise 0. */
  readonly data: number;
}

/** Value of ICMP (RFC 8656 section 18.13): seven bits of type and nine of code behind two bytes of nothing. */
export function icmp({ type, code, data }: IcmpError): Buffer {
  const value = Buffer.alloc(8);
  value.writeUInt16BE(((type & 0x7f) << 9) | (code & 0x1ff), 2);
  value.writeUInt32BE(data, 4);
  return value;
}

/** The error in such a value; undefined for a wrong size. */
export function readIcmp(value: Buffer): IcmpError | undefined {
  if (value.length !== 8) return undefined;
  const typeAndCode = value.readUInt16BE(2);
  return { type: typeAndCode >> 9, code: typeAndCode & 0x1ff, data: value.readUInt32BE(4) };
}

/** Value of CHANNEL-NUMBER (RFC 8656 section 18.1). */
export function channelNumber(channel: number): Buffer {
  return Buffer.from([channel >> 8, channel & 0xff, 0, 0]);
}

/** The number in such a value; undefined for a wrong size. */
export function readChannelNumber(value: Buffer): number | undefined {
  return value.length === 4 ? value.readUInt16BE(0) : undefined;
}
