// logits[q, s] = k · (form[q] k + mean[q]) for the live keys k = k[h, s] and the group's query heads q = h GROUP + g: the logarithm of what a query of
// that distribution gives to a key on the mean. Leading slots, whose tokens are among the first `sinks`, get the lowest number there is.
// keys [heads, stride, WIDTH]; mean [heads GROUP, d]; form [heads GROUP, d, d]; source [all heads, stride]; start, end [all heads];
// logits [heads GROUP, stride]; d = HEAD_DIM.
// A product tile by tile, as value_norms.wgsl. Workgroups: x over rows (THREADS / 4 each, from the head's first slot on), y over query heads.
struct Params { heads: u32, firstHead: u32, stride: u32, sinks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> form: array<f32>;
@group(0) @binding(4) var<storage, read> source: array<i32>;
@group(0) @binding(5) var<storage, read> start: array<u32>;
@group(0) @binding(6) var<storage, read> end: array<u32>;
@group(0) @binding(7) var<storage, read_write> logits: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override GROUP: u32;
const DEPTH = 16u;
const LOWEST = -3.4028234e38;

// [DEPTH, four rows] and [DEPTH, four outputs]; a column more than needed, so that threads do not wait for one bank.
var<workgroup> rows: array<vec4f, THREADS + DEPTH>;
var<workgroup> outputs: array<vec4f, 17u * DEPTH>;

fn key(run: u32, slot: u32, behind: u32, d: u32) -> f32 {
  if (slot >= behind || d >= HEAD_DIM) { return 0.0; }
  return f32(keys[(run + slot) * WIDTH + d]);
}

fn weight(query: u32, output: u32, d: u32) -> f32 {
  if (output >= HEAD_DIM || d >= HEAD_DIM) { return 0.0; }
  return form[(query * HEAD_DIM + output) * HEAD_DIM + d];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let query = group.y;
  let head = params.firstHead + query / GROUP;
  let behind = end[head];
  let top = start[head] + group.x * (THREADS / 4u);
  if (top >= behind) { return; }
  let run = query / GROUP * params.stride;
  let quads = THREADS / 16u; // of rows
  let mine = lane / 16u;
  let deep = lane % 16u;
  let slot = top + 4u * mine;

  var sums = vec4f(0.0);
  for (var output = 0u; output < HEAD_DIM; output += 64u) {
    var products = array<vec4f, 4>(vec4f(0.0), vec4f(0.0), vec4f(0.0), vec4f(0.0));
    for (var at = 0u; at < HEAD_DIM; at += DEPTH) {
      workgroupBarrier();
      let d = at + deep;
      rows[deep * (quads + 1u) + mine] =
        vec4f(key(run, slot, behind, d), key(run, slot + 1u, behind, d), key(run, slot + 2u, behind, d), key(run, slot + 3u, behind, d));
      for (var quad = mine; quad < 16u; quad += quads) {
        let o = output + 4u * quad;
        outputs[deep * 17u + quad] = vec4f(weight(query, o, d), weight(query, o + 1u, d), weight(query, o + 2u, d), weight(query, o + 3u, d));
      }
      workgroupBarrier();
      for (var k = 0u; k < DEPTH; k++) {
        let x = rows[k * (quads + 1u) + mine];
        let y = outputs[k * 17u + deep];
        products[0] += x.x * y;
        products[1] += x.y * y;
        products[2] += x.z * y;
        products[3] += x.w * y;
      }
    }
    for (var c = 0u; c < 4u; c++) {
      let o = output + 4u * deep + c;
      if (o >= HEAD_DIM) { break; }
      let m = mean[query * HEAD_DIM + o];
      for (var r = 0u; r < 4u; r++) { sums[r] += (products[r][c] + m) * key(run, slot + r, behind, o); }
    }
  }

  workgroupBarrier();
  rows[lane] = sums;
  for (var half = 8u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (deep < half) { rows[lane] += rows[lane + half]; }
  }
  if (deep != 0u) { return; }
  var leading = start[head];
  while (leading < behind) {
    let token = source[head * params.stride + leading];
    if (token < 0 || token >= i32(params.sinks)) { break; }
    leading++;
  }
  for (var r = 0u; r < 4u; r++) {
    if (slot + r < behind) {
      logits[query * params.stride + slot + r] = select(rows[lane][r], LOWEST, slot + r < leading);
    }
  }
}
