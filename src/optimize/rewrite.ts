// Patterns applied to a graph until none fits any more.
import type {Graph, Node} from './graph.ts';
import type {Applied, Pattern, PatternContext} from './pattern.ts';

/** One change of a model. */
export interface ModelChange {
  /** What was done. */
  readonly pattern: string;
  /** The kernels that were there. */
  readonly was: string;
  /** What is there now; empty where nothing is. */
  readonly now: string;
  /** The name of a weight, or else the shape of what comes out. */
  readonly where: string;
}

/** @param lists Of patterns, one list after the other. */
export function rewrite(
  graph: Graph,
  lists: readonly (readonly Pattern[])[],
  context: PatternContext,
): ModelChange[] {
  const changes: ModelChange[] = [];
  // No node is changed so often: a pattern that undid another one would go on for ever.
  const most = 100 * graph.nodes.length;
  for (const patterns of lists) {
    for (let changed = true; changed; ) {
      changed = false;
      if (changes.length > most) throw new Error('patterns undo each other');
      for (const node of [...graph.nodes]) {
        if (!graph.has(node)) continue;
        const {output} = node;
        for (const pattern of patterns) {
          const applied = pattern.apply(node, context);
          if (applied === undefined) continue;
          changes.push(changeOf(pattern, applied, applied.node ?? node, output.shape));
          changed = true;
          break;
        }
      }
    }
  }
  return changes;
}

function changeOf({name}: Pattern, {was, node}: Applied, near: Node, shape: readonly number[]): ModelChange {
  const activation = node?.attrs.activation ?? 'linear';
  const parts = [node?.kernel, activation === 'linear' ? undefined : activation];
  const weight = Object.values(near.inputs).find((value) => value.name !== undefined)?.name;
  return {
    pattern: name,
    was: was.join(' → '),
    now: parts.filter((part) => part !== undefined).join(' '),
    where: weight ?? `[${shape}]`,
  };
}
