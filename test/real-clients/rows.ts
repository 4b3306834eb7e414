import type { Generation, Means, RealClient } from './clients/client.ts';
import { extTasks } from './clients/ext-tasks.ts';
import { sdk1 } from './clients/sdk-1.ts';
import { sdk2 } from './clients/sdk-2.ts';

interface Row {
  readonly name: string;
  readonly client: RealClient;
  readonly generation: Generation;
  readonly means: readonly Means[];
}

/** Each client on each generation that it speaks. */
export const ROWS: readonly Row[] = [sdk1, sdk2, extTasks].flatMap((client) =>
  Object.entries(client.means).map(([generation, means]) => ({
    name: client.name,
    client,
    generation: generation as Generation,
    means,
  })),
);
