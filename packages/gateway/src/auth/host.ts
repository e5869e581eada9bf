/**
 * The namespace that a `Host` header names: `<ns>` of `ns-<ns>.<baseDomain>`, without regard to case, port and final dot.
 * Null for every other host, which leaves the choice to the credential. The name is not checked: it is only compared.
 */
export function namespaceOfHost(host: string | undefined, baseDomain: string): string | null {
  if (!host) return null;
  const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  const suffix = `.${baseDomain.toLowerCase()}`;
  if (!name.startsWith('ns-') || !name.endsWith(suffix)) return null;
  return name.slice('ns-'.length, -suffix.length);
}
