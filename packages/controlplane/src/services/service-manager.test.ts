import { expect, test } from 'vitest';
import { serviceOfUnit } from './service-manager.ts';

test.each([
  ['orama-gateway', 'gateway', null],
  ['orama-turn', 'turn', null],
  ['orama-namespace-turn@my-app', 'turn', 'my-app'],
  ['orama-namespace-sfu@my-app', 'sfu', 'my-app'],
])('the unit %s is the service %s of namespace %s', (unit, service, namespace) => {
  expect(serviceOfUnit(unit)).toEqual({ service, namespace });
});
