/** A shape as ONNX has it: images are NCHW. */
export function onnxShape(shape: readonly number[]): readonly number[] {
  if (shape.length !== 4) return shape;
  const [batch, height, width, channels] = shape;
  return [batch, channels, height, width];
}
