import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ConfigError, describeError } from '@orama/core';

/** From here on this process trusts the authorities in a file, PEM, beside those that it trusts anyway. */
export function trustAuthorities(file: string): void {
  try {
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(file, 'utf8')]);
  } catch (thrown) {
    throw new ConfigError(`caFile ${file} cannot be used: ${describeError(thrown)}`, {
      hint: 'name a file with certificates in PEM, as "-----BEGIN CERTIFICATE-----" begins them',
    });
  }
}
