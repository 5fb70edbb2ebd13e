import {convolutionOf} from '../convolution.ts';
import type {Pattern} from '../pattern.ts';

const isPerm = (perm: unknown, ...axes: number[]) => String(perm) === String(axes);

/** Two transposes that undo each other, and those around a convolution with channels first. */
export const transposes: Pattern = {
  name: 'transposes left out',
  apply(node, {graph}) {
    if (node.kernel !== 'Transpose') return undefined;
    const {x} = node.inputs;
    const before = x.producer;
    if (before === undefined) return undefined;
    const perm = node.attrs.perm as number[];
    if (before.kernel === 'Transpose') {
      const first = before.attrs.perm as number[];
      if (!perm.every((axis, i) => first[axis] === i)) return undefined;
      graph.bypass(node, before.inputs.x);
      return {was: ['Transpose', 'Transpose']};
    }
    const convolution = convolutionOf(before);
    if (convolution === undefined || graph.onlyConsumer(x) !== node || !isPerm(perm, 0, 2, 3, 1)) {
      return undefined;
    }
    const image = before.inputs.x?.producer;
    const {attrs, kernel, inputs} = before;
    const isPlanar = attrs.dataFormat === 'NCHW' && image?.kernel === 'Transpose';
    if (!isPlanar || !isPerm(image.attrs.perm, 0, 3, 1, 2) || convolution.residual !== undefined)
      return undefined;
    // Slopes of a channel lie otherwise where channels are last.
    if (attrs.activation === 'prelu') return undefined;
    const {pad} = attrs;
    const [batch, channels, ...sides] = Array.isArray(pad) ? (pad as unknown as number[][]) : [];
    const own = graph.replace(node, {
      kernel,
      inputs: {...inputs, x: image.inputs.x},
      attrs: {
        ...attrs,
        dataFormat: 'NHWC',
        pad: batch === undefined ? pad : ([batch, ...sides, channels] as unknown as number[]),
      },
    });
    return {was: ['Transpose', kernel, 'Transpose'], node: own};
  },
};
