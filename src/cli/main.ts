#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { CatalogError, OptionError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { callCommand } from './call.ts';
import { serveCommand } from './serve.ts';
import { tasksCommand } from './tasks.ts';

const program = new Command('mcp-taskpool')
  .description('Serves a folder of MCP tools, each call in a worker thread')
  .version(VERSION)
  .exitOverride()
  .configureOutput({
    // One line, the suggestion ("Did you mean …") included.
    outputError: (message, write) =>
      write(
        `${message
          .trimEnd()
          .replace(/^error: /, 'mcp-taskpool: ')
          .replaceAll('\n', ' ')}\n`,
      ),
  });
for (const command of [serveCommand(), callCommand(), tasksCommand()]) {
  program.addCommand(command.copyInheritedSettings(program));
  for (const part of command.commands) part.copyInheritedSettings(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // `--help` and `--version` end here too, with 0; commander has printed what there is to say.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof OptionError) {
    console.error(`mcp-taskpool: ${error.message}`);
    process.exitCode = 2;
  } else if (error instanceof CatalogError) {
    for (const problem of error.problems) console.error(`mcp-taskpool: ${problem}`);
    process.exitCode = 1;
  } else {
    console.error(`mcp-taskpool: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
