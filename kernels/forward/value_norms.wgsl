// parts[firstHead + h, p, s - first] = sum over the group's query heads g and over the outputs o of stripe p of |v[h, s, :] · W[o, (h GROUP + g) HEAD_DIM + :]|
// for the head's last `rows` slots, first = end - rows on, that are live: ‖v W_O‖₁ in parts, which value_norms_sum.wgsl adds up.
// values [heads, stride, WIDTH]; matrix W [hidden, heads * GROUP * HEAD_DIM]; start, end [all heads]; parts [all heads, stripes, rows].
// A product tile by tile: a thread holds 4 rows × 4 outputs, 16 neighbours share their rows; only the sums of absolute values leave the workgroup.
// Workgroups: x over rows (THREADS / 4 each), y over heads, z over stripes.
struct Params { heads: u32, firstHead: u32, stride: u32, rows: u32, hidden: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<stored>;
@group(0) @binding(2) var<storage, read> matrix: array<f32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override GROUP: u32;
const STRIPE = 512u;
const DEPTH = 16u;

// [DEPTH, four rows] and [DEPTH, four outputs]; a column more than needed, so that threads do not wait for one bank.
var<workgroup> rows: array<vec4f, THREADS + DEPTH>;
var<workgroup> outputs: array<vec4f, 17u * DEPTH>;

fn value(row: u32, slot: u32, d: u32, live: vec2u) -> f32 {
  if (slot < live.x || slot >= live.y || d >= HEAD_DIM) { return 0.0; }
  return f32(values[(row + slot) * WIDTH + d]);
}

fn weight(output: u32, column: u32, d: u32, columns: u32) -> f32 {
  if (output >= params.hidden || d >= HEAD_DIM) { return 0.0; }
  return matrix[output * columns + column + d];
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let head = params.firstHead + group.y;
  let first = end[head] - min(end[head], params.rows);
  let live = vec2u(max(first, start[head]), end[head]);
  let top = first + group.x * (THREADS / 4u);
  if (top >= live.y || top + THREADS / 4u <= live.x) { return; }
  let run = group.y * params.stride;
  let columns = params.heads * GROUP * HEAD_DIM;
  let quads = THREADS / 16u; // of rows
  let mine = lane / 16u;
  let deep = lane % 16u;

  var sums = vec4f(0.0);
  for (var output = group.z * STRIPE; output < min((group.z + 1u) * STRIPE, params.hidden); output += 64u) {
    for (var g = 0u; g < GROUP; g++) {
      let column = (group.y * GROUP + g) * HEAD_DIM;
      var a = vec4f(0.0);
      var b = vec4f(0.0);
      var c = vec4f(0.0);
      var d = vec4f(0.0);
      for (var at = 0u; at < HEAD_DIM; at += DEPTH) {
        workgroupBarrier();
        let slot = top + 4u * mine;
        let depth = at + deep;
        rows[deep * (quads + 1u) + mine] =
          vec4f(value(run, slot, depth, live), value(run, slot + 1u, depth, live), value(run, slot + 2u, depth, live), value(run, slot + 3u, depth, live));
        for (var quad = mine; quad < 16u; quad += quads) {
          let o = output + 4u * quad;
          outputs[deep * 17u + quad] =
            vec4f(weight(o, column, depth, columns), weight(o + 1u, column, depth, columns), weight(o + 2u, column, depth, columns), weight(o + 3u, column, depth, columns));
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
          let x = rows[k * (quads + 1u) + mine];
          let y = outputs[k * 17u + deep];
          a += x.x * y;
          b += x.y * y;
          c += x.z * y;
          d += x.w * y;
        }
      }
      let one = vec4f(1.0);
      sums += vec4f(dot(abs(a), one), dot(abs(b), one), dot(abs(c), one), dot(abs(d), one));
    }
  }

  workgroupBarrier();
  rows[lane] = sums;
  for (var half = 8u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (deep < half) { rows[lane] += rows[lane + half]; }
  }
  if (deep != 0u) { return; }
  for (var i = 0u; i < 4u; i++) {
    let slot = top + 4u * mine + i;
    if (slot >= live.x && slot < live.y) {
      parts[(head * groups.z + group.z) * params.rows + slot - first] = rows[lane][i];
    }
  }
}
