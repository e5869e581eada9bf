import { z } from 'zod';

/** Holds what is refused. What another table drops, no table of ours could accept. */
export const OWN = { family: 'inet', table: 'orama', name: 'input' } as const;

const chainSchema = z.object({
  ...{ family: z.string(), table: z.string(), name: z.string() },
  ...{ type: z.string().optional(), hook: z.string().optional(), policy: z.string().optional() },
});
const ruleSchema = z.object({
  ...{ family: z.string(), table: z.string(), chain: z.string(), handle: z.int(), comment: z.string().optional() },
  expr: z.array(z.unknown()),
});
const targetSchema = z.object({ target: z.string() });
/** A part of a rule that leads all packets on; one with any other part leads only some. */
const jumpSchema = z.strictObject({
  ...{ counter: z.unknown().optional(), log: z.unknown().optional() },
  ...{ jump: targetSchema.optional(), goto: targetSchema.optional() },
});
const rulesetSchema = z.object({
  nftables: z.array(z.object({ chain: chainSchema.optional(), rule: ruleSchema.optional() })),
});
type Chain = z.infer<typeof chainSchema>;
export type Rule = z.infer<typeof ruleSchema>;

/** What `nft list ruleset` tells. */
export interface Ruleset {
  chains: Chain[];
  rules: Rule[];
}

/** A chain that lets in only what it names. */
export interface ClosedChain extends Chain {
  /** Handle of the rule that refuses all the rest; null where the policy does. */
  lastRule: number | null;
}

/** Families that packets of ours come by. */
const FAMILIES = ['inet', 'ip', 'ip6'];

/** Reads the output of `nft --json --terse list ruleset`. */
export function parseRuleset(json: string): Ruleset {
  const { nftables } = rulesetSchema.parse(JSON.parse(json));
  return {
    chains: nftables.flatMap(({ chain }) => chain ?? []),
    rules: nftables.flatMap(({ rule }) => rule ?? []),
  };
}

/** The chains of others that let in only what they name, and say so themselves. */
export function closedChains(ruleset: Ruleset): ClosedChain[] {
  return ruleset.chains.flatMap((chain) => {
    if (!isInput(chain)) return [];
    const last = rulesIn(ruleset, chain).find(refusesAll);
    return last || chain.policy === 'drop' ? [{ ...chain, lastRule: last?.handle ?? null }] : [];
  });
}

export function rulesIn({ rules }: Ruleset, { family, table, name }: Chain): Rule[] {
  return rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name);
}

/** Whether a rule drops or rejects whatever comes to it. */
function refusesAll({ expr }: Rule): boolean {
  const names = expr.flatMap((part) => (typeof part === 'object' && part ? Object.keys(part) : ['unknown']));
  const isQuiet = names.every((name) => ['counter', 'log', 'drop', 'reject'].includes(name));
  return isQuiet && names.some((name) => name === 'drop' || name === 'reject');
}

/**
 * What keeps ports closed where no rule of ours could open them, in words; null where nothing does: iptables, which a rule
 * of nft's would break, or a chain that leaves the refusing to another, whose earlier refusals ours would pass by.
 */
export function closedByHand(ruleset: Ruleset): string | null {
  const closed = closedChains(ruleset);
  const iptables = closed.find(isOfIptables);
  if (iptables) return programOf(iptables);
  const chain = ruleset.chains.find(
    (each) => isInput(each) && !closed.some((one) => isSame(one, each)) && rulesIn(ruleset, each).some(endsIn(ruleset)),
  );
  if (!chain) return null;
  return isOfIptables(chain) ? programOf(chain) : `the nftables chain ${chain.family} ${chain.table} ${chain.name}`;
}

export function isOwnTable({ family, table }: Pick<Chain, 'family' | 'table'>): boolean {
  return family === OWN.family && table === OWN.table;
}

/** Tables that iptables keeps through nft: a rule of nft's in them and it refuses to work. */
export function isOfIptables({ family, table, name }: Chain): boolean {
  return family !== 'inet' && table === 'filter' && name === 'INPUT';
}

/** The program that keeps a chain of iptables. */
export function programOf({ family }: Pick<Chain, 'family'>): string {
  return family === 'ip6' ? 'ip6tables' : 'iptables';
}

function isInput(chain: Chain): boolean {
  return FAMILIES.includes(chain.family) && chain.type === 'filter' && chain.hook === 'input' && !isOwnTable(chain);
}

function isSame(a: Chain, b: Chain): boolean {
  return a.family === b.family && a.table === b.table && a.name === b.name;
}

/** Whether whatever comes to a rule is refused by it or by the chain that it leads to. nft lets no chains go in circles. */
function endsIn(ruleset: Ruleset): (rule: Rule) => boolean {
  return (rule) => {
    if (refusesAll(rule)) return true;
    const target = targetOf(rule);
    return target !== undefined && rulesIn(ruleset, { ...rule, name: target }).some(endsIn(ruleset));
  };
}

/** The chain that a rule leads every packet to. */
function targetOf({ expr }: Rule): string | undefined {
  const { data: parts } = z.array(jumpSchema).safeParse(expr);
  return parts?.flatMap(({ jump, goto }) => jump?.target ?? goto?.target ?? [])[0];
}
