import { z } from 'zod';
import { portSchema } from './names.ts';

/** A STUN or TURN server as a URI names it (RFC 7064, RFC 7065). */
export interface StunUri {
  /** Whether it relays, or only answers Binding requests. */
  relays: boolean;
  /** A name, or an IPv4 or IPv6 address without brackets. */
  host: string;
  port: number;
  transport: 'udp' | 'tcp' | 'tls';
}

const FORM = /^(stuns?|turns?):(\[[0-9a-f:.]+\]|[^:?#/@[\]\s]+)(?::(\d{1,5}))?(?:\?transport=([a-z]+))?$/i;
const DEFAULT_PORT = 3478;
const DEFAULT_TLS_PORT = 5349;

/** `stun:` and `turn:` URIs, with their default ports and transports filled in. Every refusal says what is wrong. */
export const stunUriSchema = z.string().transform((text, context): StunUri => {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const [, scheme = '', host = '', digits, wanted] = FORM.exec(text.trim()) ?? [];
  if (scheme === '') return refuse('use a URI such as turn:turn.example.org:3478?transport=udp, or stun: or turns:');
  const kind = scheme.toLowerCase();
  const secure = kind.endsWith('s');
  const relays = kind.startsWith('turn');
  const port = portSchema.safeParse(Number(digits ?? (secure ? DEFAULT_TLS_PORT : DEFAULT_PORT)));
  if (!port.success) return refuse(`port ${digits} is not between 1 and 65535`);
  const name = host.replaceAll(/[[\]]/g, '');
  if (host.startsWith('[') && !z.ipv6().safeParse(name).success) return refuse(`${host} is no IPv6 address`);
  if (wanted !== undefined && !relays) return refuse(`a ${kind}: URI takes no transport`);
  const transport = (wanted ?? (secure ? 'tcp' : 'udp')).toLowerCase();
  if (transport !== 'udp' && transport !== 'tcp') return refuse(`transport ${transport} is neither udp nor tcp`);
  if (secure && transport === 'udp')
    return refuse(`${kind}: over udp is DTLS, which is not supported; use transport=tcp`);
  return { relays, host: name, port: port.data, transport: secure ? 'tls' : transport };
});
