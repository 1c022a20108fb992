// tenths[i] += live slots of all heads whose token is in the i-th tenth of `length` tokens from token `first` of the prompt on; slots without a place
// (< 0) count nowhere. source [heads, stride]; start, end [heads]. A workgroup is a head.
struct Params { heads: u32, stride: u32, first: i32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> tenths: array<atomic<u32>, 10>;

override THREADS: u32;

var<workgroup> own: array<atomic<u32>, 10>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let token = source[base + slot];
    if (token >= 0 && token >= params.first) { atomicAdd(&own[u32(token - params.first) * 10u / params.length], 1u); }
  }
  workgroupBarrier();
  for (var i = lane; i < 10u; i += THREADS) { atomicAdd(&tenths[i], atomicLoad(&own[i])); }
}
