import type { Generation, Means, RealClient } from './client.ts';
import { extTasks } from './ext-tasks.ts';
import { sdk1 } from './sdk-1.ts';
import { sdk2 } from './sdk-2.ts';

export const CLIENTS: readonly RealClient[] = [sdk1, sdk2, extTasks];

export interface Row {
  readonly name: string;
  readonly client: RealClient;
  readonly generation: Generation;
  readonly means: readonly Means[];
}

/** Each client on each generation that it speaks. */
export const ROWS: readonly Row[] = CLIENTS.flatMap((client) =>
  Object.entries(client.means).map(([generation, means]) => ({
    name: client.name,
    client,
    generation: generation as Generation,
    means,
  })),
);
