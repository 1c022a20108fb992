/** What the graph tells about a chunk's own rows beyond keys and values, for stages that ask for it. */
import type { AttentionShape } from "./attention.ts";
import type { WeightWriter } from "./linear.ts";
import { Graph } from "./onnx.ts";

/**
 * Adds the outputs `norms` (one per KV head, [S]): ‖v W_O‖₁ of every new value row, the mean over the heads of its group, where the input `facts`
 * holds, else empty. W_O is a query head's slice of the output matrix (CriticalKV, arXiv 2502.03805; kvpress's form).
 */
export function valueNorms(
  graph: Graph,
  weights: WeightWriter,
  p: string,
  outputMatrix: string,
  values: string[],
  norms: string[],
  { group, headDim }: AttentionShape,
): void {
  const yes = new Graph(`${p}norms`), no = new Graph(`${p}no_norms`), writer = weights.within(yes);
  values.forEach((rows, h) => {
    const name = `${p}norm.${h}`, places = Array.from({ length: group }, (_, g) => (h * group + g) * headDim);
    // all heads of the group at once: one product instead of several, and the sum over all is the mean of the sums times their number
    const out = writer.columns(outputMatrix, places, headDim, rows, `${name}.out`);
    // a third quicker than ReduceL1, which is not vectorised
    const sum = yes.node("ReduceSum", [yes.node("Abs", [out], [`${name}.abs`]), "axes02"], [`${name}.sum`], {
      keepdims: 0,
    });
    const count = yes.constant(`${name}.count`, "float32", [], Float32Array.of(group));
    yes.output(yes.node("Div", [sum, count], [name]), "float32", ["S"]);
    no.output(no.constant(`${p}norm.none.${h}`, "float32", [0], new Float32Array(0)), "float32", ["S"]);
  });
  graph.node("If", ["facts"], norms, { then_branch: yes, else_branch: no });
}

/**
 * Adds the outputs `sum` [heads, D] and `outer` [heads, D, D]: sums of the rows' queries before rotation and of their outer products, over the rows
 * from `facts_start` on, where the input `facts` holds, else empty (ExpectedAttention, arXiv 2510.00636).
 * @param query [1, S, ≥ heads * D] before rotation
 */
export function queryMoments(
  graph: Graph,
  p: string,
  query: string,
  sum: string,
  outer: string,
  heads: number,
  { headDim }: AttentionShape,
): void {
  const yes = new Graph(`${p}moments`), no = new Graph(`${p}no_moments`);
  // rows and columns in one copy
  const zero = yes.int64s(`${p}mo.zero`, [0]), width = yes.int64s(`${p}mo.width`, [heads * headDim]);
  const starts = yes.node("Concat", ["facts_start", zero], [`${p}mo.starts`], { axis: 0 });
  const ends = yes.node("Concat", ["S64", width], [`${p}mo.ends`], { axis: 0 });
  const own = yes.node("Slice", [query, starts, ends, yes.int64s(`${p}mo.axes`, [1, 2])], [`${p}mo.own`]);
  const split = yes.node("Reshape", [own, yes.int64s(`${p}mo.shape`, [-1, heads, headDim])], [`${p}mo.split`]);
  const perHead = yes.node("Transpose", [split], [`${p}mo.heads`], { perm: [1, 0, 2] });
  const total = yes.node("ReduceSum", [perHead, yes.int64s(`${p}mo.one`, [1])], [`${p}mo.sum`], { keepdims: 0 });
  const turned = yes.node("Transpose", [perHead], [`${p}mo.turned`], { perm: [0, 2, 1] });
  yes.output(total, "float32", [heads, headDim]);
  yes.output(yes.node("MatMul", [turned, perHead], [`${p}mo.outer`]), "float32", [heads, headDim, headDim]);
  no.output(no.constant(`${p}mo.nosum`, "float32", [0, headDim], new Float32Array(0)), "float32", ["H", headDim]);
  no.output(no.constant(`${p}mo.noouter`, "float32", [0, headDim, headDim], new Float32Array(0)), "float32", [
    "H",
    headDim,
    headDim,
  ]);
  graph.node("If", ["facts"], [sum, outer], { then_branch: yes, else_branch: no });
}
