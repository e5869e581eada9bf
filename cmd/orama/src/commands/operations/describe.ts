import type { Operation, OperationStep } from '@orama/protocol';
import type { Output } from '../../output/output.ts';
import { seconds } from '../../output/quantity.ts';
import { renderFields, renderTable } from '../../output/table.ts';

const COLOURS = { done: 'green', failed: 'red', running: 'yellow', pending: 'gray' } as const;

/** Operations as a table. */
export function describeOperations(output: Output, operations: readonly Operation[]): string {
  return renderTable(
    output,
    ['operation', 'kind', 'of', 'state', 'asked by', 'began', 'took'],
    operations.map((operation) => [
      operation.id,
      operation.kind,
      subjectOf(operation),
      describeState(output, operation.state),
      operation.requestedBy,
      operation.createdAt,
      between(operation.createdAt, operation.finishedAt),
    ]),
  );
}

/** One operation with the timing of its steps. */
export function describeOperation(output: Output, operation: Operation): string {
  const { id, kind, state, requestedBy, createdAt, finishedAt, error, steps } = operation;
  const fields = renderFields([
    ['operation', id],
    ['kind', kind],
    ['of', subjectOf(operation)],
    ['state', describeState(output, state)],
    ['asked by', requestedBy],
    ['began', createdAt],
    ...(finishedAt === undefined ? [] : ([['took', between(createdAt, finishedAt)]] as [string, string][])),
    ...(error === undefined ? [] : ([['error', `${error.code}: ${error.message}`]] as [string, string][])),
  ]);
  const table = renderTable(
    output,
    ['step', 'state', 'began after', 'took', 'detail'],
    steps.map((step) => describeStep(output, step, createdAt)),
  );
  return `${fields}\n\n${table}`;
}

function describeStep(output: Output, step: OperationStep, createdAt: string): string[] {
  const { name, state, startedAt, finishedAt, detail } = step;
  // A step that was done when it was first looked at has begun no later than that.
  const began = startedAt ?? finishedAt;
  return [
    name,
    describeState(output, state),
    between(createdAt, began),
    began === undefined ? '' : between(began, finishedAt),
    detail ?? '',
  ];
}

function describeState(output: Output, state: keyof typeof COLOURS): string {
  return output.style(COLOURS[state], state);
}

function subjectOf({ namespace, node }: Operation): string {
  return namespace ?? node ?? '';
}

/** Nodes wrote the two, whose clocks may differ: never less than nothing. */
function between(from: string, to: string | undefined): string {
  return to === undefined ? '' : seconds(Math.max(0, Date.parse(to) - Date.parse(from)));
}
