#!/usr/bin/env node
import { runCommand } from './command.ts';

const { output, problem } = runCommand(process.argv.slice(2));
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
if (output !== undefined) process.stdout.write(`${output}\n`);
