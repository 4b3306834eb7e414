import { stdout } from 'node:process';
import { styleText } from 'node:util';
import { MultiBar, type SingleBar } from 'cli-progress';

const live = stdout.isTTY;

/** One thing that is done: a bar on a terminal, a line at its end elsewhere. */
export interface Row {
  progress(done: number, total: number, message?: string): void;
  end(words: string): void;
}

export function heading(words: string): void {
  stdout.write(`\n${style('bold', words)}\n`);
}

export function say(words: string): void {
  stdout.write(`  ${words}\n`);
}

export function style(format: Parameters<typeof styleText>[0], words: string): string {
  return live ? styleText(format, words) : words;
}

/** Shows rows while `work` goes on. */
export async function withRows<T>(work: (row: (name: string) => Row) => Promise<T>): Promise<T> {
  if (!live) return work(plainRow);
  const bars = new MultiBar({
    format: '  {name} {bar} {words}',
    barsize: 16,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: false,
    // A name or a message that does not fit must not break the picture.
    linewrap: false,
    autopadding: true,
    fps: 20,
  });
  try {
    return await work((name) => barRow(bars.create(1, 0, { name: name.padEnd(20), words: '' })));
  } finally {
    bars.stop();
  }
}

function plainRow(name: string): Row {
  return { progress: () => {}, end: (words) => say(`${name.padEnd(20)} ${words}`) };
}

function barRow(bar: SingleBar): Row {
  return {
    progress: (done, total, message = '') => {
      bar.setTotal(total);
      bar.update(done, { words: style('dim', message) });
    },
    end: (words) => {
      bar.setTotal(1);
      bar.update(1, { words });
    },
  };
}
