import { expect, test } from 'vitest';
import { clusterFactsSchema } from './inspection.ts';
import { clusterReportSchema, nodeReportSchema } from './monitor.ts';

test('what nodes of the release before do not tell is taken for what it meant there', () => {
  const { problems } = clusterReportSchema.shape;
  expect(problems.parse([{ node: null, namespace: 'demo', text: 'x' }])).toMatchObject([{ severity: 'critical' }]);
  const { turn, namespaces } = nodeReportSchema.shape;
  expect(turn.shape.held.parse(undefined)).toBe(false);
  expect(namespaces.element.shape.turn.unwrap().shape.restarts.parse(undefined)).toBe(0);
  expect(clusterFactsSchema.shape.operatorHost.parse(undefined)).toBeNull();
});
