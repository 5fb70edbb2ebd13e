// A contender in a process of its own: it answers a question when it is asked one, and sleeps otherwise.
import {type ChildProcess, fork} from 'node:child_process';

export interface ProcessOptions {
  /** What an error names. */
  readonly name: string;
  readonly script: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What a process was asked and cannot do. It goes on. */
export interface Failure {
  readonly failure: string;
}

const isFailure = (message: unknown): message is Failure =>
  typeof message === 'object' && message !== null && 'failure' in message;

// Of what it says, enough to see why it has ended.
const LAST_CHARACTERS = 1000;

export class ContenderProcess<Question> {
  private readonly options: ProcessOptions;
  private readonly child: ChildProcess;
  private said = '';

  constructor(options: ProcessOptions) {
    this.options = options;
    this.child = fork(options.script, options.arguments, {
      env: {...process.env, ...options.environment},
      serialization: 'advanced',
      // The table is for another program: what is said is kept for an error.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr?.on('data', (text) => {
      this.said = `${this.said}${text}`.slice(-LAST_CHARACTERS);
    });
  }

  ask<Answer>(question: Question): Promise<Answer> {
    this.child.send(question as object);
    return this.answer();
  }

  /** What it says unasked. */
  answer<Answer>(): Promise<Answer> {
    const {child} = this;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null, signal: string | null) => {
        child.off('message', heard);
        const why = this.said.trim();
        reject(
          new Error(
            `The process of ${this.options.name} has ended with ${signal ?? `code ${code}`}${why && `: ${why}`}`,
          ),
        );
      };
      const heard = (message: unknown) => {
        child.off('exit', ended);
        if (isFailure(message)) reject(new Error(message.failure));
        else resolve(message as Answer);
      };
      child.once('exit', ended);
      child.once('message', heard);
    });
  }

  /** Its memory is free then. */
  async stop(): Promise<void> {
    const {child} = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
