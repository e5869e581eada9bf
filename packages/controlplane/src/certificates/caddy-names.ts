import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

/** `@id` of what is ours in Caddy's configuration: `curl localhost:2019/id/orama-certificates` shows it. */
const POLICY_ID = 'orama-certificates';

/** Whom Caddy asks unless told otherwise. */
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

const challengeSchema = z.looseObject({ disabled: z.boolean().nullish() }).nullish();
const issuerSchema = z.looseObject({
  module: z.string(),
  ca: z.string().nullish(),
  challenges: z
    .looseObject({ http: challengeSchema, 'tls-alpn': challengeSchema, dns: z.looseObject({}).nullish() })
    .nullish(),
});
type Issuer = z.infer<typeof issuerSchema>;

/** What we read of Caddy's TLS; everything else is kept as it is. */
const tlsAppSchema = z.looseObject({
  certificates: z.looseObject({ automate: z.array(z.string()).nullish() }).nullish(),
  automation: z
    .looseObject({
      policies: z
        .array(
          z.looseObject({
            '@id': z.string().optional(),
            subjects: z.array(z.string()).nullish(),
            issuers: z.array(issuerSchema).nullish(),
          }),
        )
        .nullish(),
    })
    .nullish(),
});
type TlsApp = z.infer<typeof tlsAppSchema>;

export interface WantedNames {
  names: readonly string[];
  /** Those of them that Caddy is not to be asked for yet. Where it has been already they stay. */
  later: readonly string[];
  /** Whether a name leads to several nodes: then a TLS-ALPN-01 challenge may come to another than the one that asked. */
  shared: boolean;
  /** How Caddy proves a name by DNS-01, where it can. */
  dnsProvider: Readonly<Record<string, string>> | null;
}

/**
 * Caddy's TLS as it has to be so that it has certificates for these names; undefined where nothing has to change. Ours are
 * one automation policy with an `@id`, and its names in `automate`. Names that the operator has there already stay the
 * operator's. They are asked of the authorities that the operator's own names are asked of. Pure.
 * @throws ZodError for what is no configuration of Caddy
 */
export function withNames(current: unknown, { names, later, shared, dnsProvider }: WantedNames): object | undefined {
  const tls = tlsAppSchema.parse(current ?? {});
  const automate = tls.certificates?.automate ?? [];
  const { ours, foreign } = policiesOf(tls);
  const theirs = new Set([
    ...foreign.flatMap(({ subjects }) => subjects ?? []),
    ...automate.filter((name) => !ours.has(name)),
  ]);
  const due = new Set(names.filter((name) => !theirs.has(name) && (ours.has(name) || !later.includes(name))));
  const subjects = [...due].sort();
  const policy = { ...policyLike(foreign, shared, dnsProvider), '@id': POLICY_ID, subjects };
  const next = {
    ...tls,
    certificates: withList(tls.certificates, 'automate', [...automate.filter((name) => !ours.has(name)), ...subjects]),
    // The first policy that fits a name decides, and one without subjects fits all.
    automation: withList(tls.automation, 'policies', subjects.length > 0 ? [policy, ...foreign] : foreign),
  };
  const whole = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined));
  return isDeepStrictEqual(whole, withoutNulls(tls)) ? undefined : whole;
}

/** What the next order for our names depends on. */
export interface NextOrder {
  /** URL of the directory of the ACME authority that is asked first; undefined where none is, or it cannot be told. */
  directory: string | undefined;
  /** Our names that Caddy has been asked for. */
  asked: ReadonlySet<string>;
}

/** Pure. @throws ZodError for what is no configuration of Caddy */
export function nextOrder(current: unknown): NextOrder {
  const { ours, foreign } = policiesOf(tlsAppSchema.parse(current ?? {}));
  const [issuer] = policyLike(foreign, false, null).issuers ?? [];
  if (issuer !== undefined && issuer.module !== 'acme') return { directory: undefined, asked: ours };
  const directory = issuer?.ca ?? LETS_ENCRYPT;
  // Caddy knows what stands in braces.
  return { directory: directory.includes('{') ? undefined : directory, asked: ours };
}

function policiesOf({ automation }: TlsApp): { ours: Set<string>; foreign: Policy[] } {
  const policies = automation?.policies ?? [];
  const own = policies.find((policy) => policy['@id'] === POLICY_ID);
  return { ours: new Set(own?.subjects ?? []), foreign: policies.filter((policy) => policy !== own) };
}

type Policy = NonNullable<NonNullable<TlsApp['automation']>['policies']>[number];

/** As the policy for what no other names; where each name has one, as the first with an authority. Empty: Caddy's own choice. */
function policyLike(
  foreign: readonly Policy[],
  shared: boolean,
  dnsProvider: WantedNames['dnsProvider'],
): Pick<Policy, 'issuers'> {
  const model = foreign.find(({ subjects }) => !subjects?.length) ?? foreign.find(({ issuers }) => issuers?.length);
  const { '@id': _id, subjects: _subjects, on_demand: _onDemand, issuers, ...rest } = model ?? {};
  if (dnsProvider === null && !shared) return issuers ? { ...rest, issuers } : rest;
  const ours = (issuers ?? [{ module: 'acme' }]).map((issuer) => withChallenges(issuer, shared, dnsProvider));
  return { ...rest, issuers: ours };
}

function withChallenges(issuer: Issuer, shared: boolean, dnsProvider: WantedNames['dnsProvider']): Issuer {
  const challenges = issuer.challenges ?? {};
  if ((issuer.module !== 'acme' && issuer.module !== 'zerossl') || challenges.dns) return issuer;
  if (dnsProvider) return { ...issuer, challenges: { ...challenges, dns: { provider: dnsProvider } } };
  if (!shared || challenges.http?.disabled) return issuer;
  return { ...issuer, challenges: { ...challenges, 'tls-alpn': { ...challenges['tls-alpn'], disabled: true } } };
}

/** An object with a list in it; without the list where it is empty, and undefined where then nothing is left. */
function withList(object: object | null | undefined, key: string, list: readonly unknown[]): object | undefined {
  const rest = Object.entries(object ?? {}).filter(([name]) => name !== key);
  const entries = list.length > 0 ? [...rest, [key, list]] : rest;
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** As `withList` leaves it, so that both compare. */
function withoutNulls(tls: TlsApp): object {
  const { certificates, automation } = tls;
  const cleaned = {
    ...tls,
    certificates: withList(certificates, 'automate', certificates?.automate ?? []),
    automation: withList(automation, 'policies', automation?.policies ?? []),
  };
  return Object.fromEntries(Object.entries(cleaned).filter(([, value]) => value !== undefined));
}
