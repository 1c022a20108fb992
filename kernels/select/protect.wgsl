// shielded[h, slot] = 1 for live slots that must stay: sources before `sinks` (sinks, and slots that stand for several tokens, whose source is
// negative) and the newest `recent` slots; 0 for other live slots. guarded[h] = how many must. source, shielded [heads, stride]; start, end, guarded
// [heads]. A workgroup is a head.
struct Params { heads: u32, stride: u32, sinks: i32, recent: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> shielded: array<u32>;
@group(0) @binding(5) var<storage, read_write> guarded: array<u32>;

override THREADS: u32;

var<workgroup> stay: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  var own = 0u;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let stays = select(0u, 1u, source[base + slot] < params.sinks || slot + params.recent >= end[head]);
    shielded[base + slot] = stays;
    own += stays;
  }
  atomicAdd(&stay, own);
  workgroupBarrier();
  if (lane == 0u) { guarded[head] = atomicLoad(&stay); }
}
