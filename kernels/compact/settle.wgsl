// end[h] = the largest count among the heads of h's layer, start[h] = end[h] - count[h]: where live slots are after gather moved them.
// summary = [live slots before, after, the largest count of all, then end of every layer]: what the CPU must know of a compaction.
// count, start, end [heads]. One workgroup; a thread takes every THREADS-th head.
struct Params { heads: u32, kvHeads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> count: array<u32>;
@group(0) @binding(2) var<storage, read_write> start: array<u32>;
@group(0) @binding(3) var<storage, read_write> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> summary: array<u32>;

override THREADS: u32;

var<workgroup> before: atomic<u32>;
var<workgroup> kept: atomic<u32>;
var<workgroup> longest: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var head = lane; head < params.heads; head += THREADS) {
    let layer = head - head % params.kvHeads;
    var last = 0u;
    for (var other = layer; other < layer + params.kvHeads; other++) { last = max(last, count[other]); }
    atomicAdd(&before, end[head] - start[head]);
    atomicAdd(&kept, count[head]);
    atomicMax(&longest, last);
    end[head] = last;
    start[head] = last - count[head];
    if (head == layer) { summary[3u + head / params.kvHeads] = last; }
  }
  workgroupBarrier();
  if (lane == 0u) {
    summary[0] = atomicLoad(&before);
    summary[1] = atomicLoad(&kept);
    summary[2] = atomicLoad(&longest);
  }
}
