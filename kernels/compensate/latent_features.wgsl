// features[h, i, :] = φ(k) of the i-th slot that head h loses, with φ(x) = x W and k its key turned back to position 0. keys [heads, stride, WIDTH], of
// which D columns count; evicted, position [all heads, stride]; evictedCount [all heads]; turns as of gather_rotate.wgsl; phi [D, R]; features
// [heads, stride, R]. A workgroup is a slot of the list: its threads turn the key, then each takes every THREADS-th feature. D is at most 256.
// Workgroups: x over the list, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, rank: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> evicted: array<u32>;
@group(0) @binding(3) var<storage, read> evictedCount: array<u32>;
@group(0) @binding(4) var<storage, read> position: array<i32>;
@group(0) @binding(5) var<storage, read> turns: array<vec2f>;
@group(0) @binding(6) var<storage, read> phi: array<f32>;
@group(0) @binding(7) var<storage, read_write> features: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;

var<workgroup> key: array<f32, 256>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  if (group.x >= evictedCount[head]) { return; }
  let slot = evicted[head * params.stride + group.x];
  let row = (group.y * params.stride + slot) * WIDTH;
  let n = u32(max(position[head * params.stride + slot], 0));
  let half = D / 2u;
  for (var j = lane; j < half; j += THREADS) {
    let a = turns[n % 256u * half + j];
    let b = turns[(256u + n / 256u) * half + j];
    let by = vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
    let pair = vec2f(f32(keys[row + j]), f32(keys[row + half + j]));
    // back: by the same angle the other way
    key[j] = pair.x * by.x + pair.y * by.y;
    key[half + j] = pair.y * by.x - pair.x * by.y;
  }
  workgroupBarrier();
  let to = (group.y * params.stride + group.x) * params.rank;
  for (var r = lane; r < params.rank; r += THREADS) {
    var sum = 0.0;
    for (var d = 0u; d < D; d++) { sum += key[d] * phi[d * params.rank + r]; }
    features[to + r] = sum;
  }
}
