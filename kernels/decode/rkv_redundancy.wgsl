// For each of the last `written` live keys i of a head, at length 1: likeness[h, i] = k_i · (the sum of them all - k_i), and in duplicate[h, i] the last
// other key whose cosine with k_i is above 0.5 (`written` where there is none), in cosine[h, i] that cosine.
// keys [heads, stride, WIDTH]; parts [heads, blocks, HEAD_DIM] of unit_sum.wgsl over the newest `written`; end [all heads];
// likeness, duplicate, cosine [all heads, written].
// A workgroup is a key (x) of a head (y): sixteen threads share each of the keys that it is compared with, the newest first.
struct Params { heads: u32, firstHead: u32, stride: u32, written: u32, blocks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> likeness: array<f32>;
@group(0) @binding(5) var<storage, read_write> duplicate: array<u32>;
@group(0) @binding(6) var<storage, read_write> cosine: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
const SHARING = 16u;

var<workgroup> own: array<f32, HEAD_DIM>;
// Product with k_i and square of the length; of k_i itself, with the sum.
var<workgroup> sums: array<vec2f, THREADS>;
// 1 + the duplicate; 0 as long as it was not found.
var<workgroup> found: u32;

/// Adds up `sums` of sixteen threads into the first one's.
fn reduce(lane: u32, mine: vec2f) {
  workgroupBarrier();
  sums[lane] = mine;
  for (var half = SHARING / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % SHARING < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
}

fn inverse(square: f32) -> f32 {
  return select(0.0, 1.0 / sqrt(square), square > 0.0);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let i = group.x;
  let head = params.firstHead + group.y;
  let run = group.y * params.stride + end[head] - params.written;
  for (var d = lane; d < HEAD_DIM; d += THREADS) { own[d] = f32(keys[(run + i) * WIDTH + d]); }
  workgroupBarrier();
  var mine = vec2f(0.0);
  for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) {
    var sum = 0.0;
    for (var block = 0u; block < params.blocks; block++) { sum += parts[(group.y * params.blocks + block) * HEAD_DIM + d]; }
    mine += own[d] * vec2f(sum, own[d]);
  }
  reduce(lane, mine);
  let scale = inverse(sums[0].y);
  let at = head * params.written + i;
  if (lane == 0u) {
    likeness[at] = sums[0].x * scale - sums[0].y * scale * scale;
    duplicate[at] = params.written;
    cosine[at] = 0.0;
  }
  let together = THREADS / SHARING;
  for (var above = 0u; above < params.written; above += together) {
    // the newest first
    let back = above + lane / SHARING;
    let j = params.written - 1u - min(back, params.written - 1u);
    mine = vec2f(0.0);
    if (back < params.written && j != i) {
      for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) {
        let x = f32(keys[(run + j) * WIDTH + d]);
        mine += x * vec2f(own[d], x);
      }
    }
    reduce(lane, mine);
    if (lane == 0u) {
      for (var one = 0u; one < together && above + one < params.written; one++) {
        let pair = sums[one * SHARING];
        let cos = pair.x * scale * inverse(pair.y);
        if (cos > 0.5) {
          found = params.written - above - one;
          duplicate[at] = found - 1u;
          cosine[at] = cos;
          break;
        }
      }
    }
    if (workgroupUniformLoad(&found) != 0u) { break; }
  }
}
