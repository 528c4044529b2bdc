// Learning from samples; what for and when is said in table_learning.h.
#include "value/table_learning.h"

#include <utility>

#include "base/hash.h"
#include "value/heap_internals.h"

namespace baton::table {

namespace {

constexpr std::uint32_t kSamplePeriod = 8;
constexpr std::uint32_t kMostExecutions = 128;  // afterwards an empty constructor without two equal tables in a row is left alone
constexpr std::uint32_t kMostIntruders = 64;
constexpr std::uint32_t kMostKeys = 16;
constexpr std::uint32_t kMostNodes = 2 * kMostKeys;

// Names of fields, each once.
struct Keys {
  String* names[kMostKeys];
  std::uint32_t count = 0;
  std::uint64_t sum = 0;

  // Returns: false if there are too many.
  bool add(String* name) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (names[i] == name) return true;
    }
    if (count == kMostKeys) return false;
    names[count++] = name;
    sum += hash::mix(reinterpret_cast<std::uint64_t>(name));
    return true;
  }
};

// Adds the names in a sample. Returns: false if it holds anything but elements and a few values with names.
bool add_keys(const Table* t, Keys& keys) noexcept {
  if (t->node_mask() >= kMostNodes) return false;
  for (std::size_t i = 0; i < node_count(t); ++i) {
    const Node& node = t->nodes[i];
    if (node.value().is_nil()) continue;
    if (node.key_tag != Tag::kShortString || !keys.add(reinterpret_cast<String*>(node.key_bits))) return false;
  }
  return true;
}

bool add_keys(const TableTemplate* t, Keys& keys) noexcept {
  const auto* nodes = reinterpret_cast<const Node*>(t->image() + t->nodes_offset);
  for (std::size_t i = 0; i <= reinterpret_cast<const Table*>(t->image())->node_mask(); ++i) {
    if (nodes[i].key_tag != Tag::kShortString) continue;
    if (!keys.add(reinterpret_cast<String*>(nodes[i].key_bits))) return false;
  }
  return true;
}

// What operand u of an empty constructor becomes; 0: not known yet.
std::uint32_t judge(Heap& heap, Prototype* p, TableSite& site) {
  Keys keys;
  if (site.sample->array_size != 0 || !add_keys(site.sample, keys)) return kNewTableNever;
  if (keys.count != 0 && keys.sum == site.keys) {
    const std::int32_t index = add_learned_template(heap, p, 0, keys.names, keys.count);
    return index < 0 ? kNewTableNever : static_cast<std::uint32_t>(index) | kNewTableTemplate;
  }
  site.keys = keys.sum;
  return site.executions >= kMostExecutions ? kNewTableNever : 0;
}

// Puts a template with the fields of the sample, too, in the place of template `index`. Returns: whether more is to be learned.
bool judge_template(Heap& heap, Prototype* p, std::uint32_t index, TableSite& site) {
  TableTemplate* from = p->templates[index];
  Keys keys;
  if (!add_keys(from, keys)) return false;
  const std::uint32_t known = keys.count;
  if (site.sample->array_size != from->array_slots || !add_keys(site.sample, keys)) return false;
  if (keys.count == known || keys.sum != site.keys) {
    site.keys = keys.sum;
    return true;
  }
  const std::int32_t added = add_learned_template(heap, p, from->array_slots, keys.names, keys.count);
  if (added < 0) return false;
  std::swap(p->templates[index], p->templates[static_cast<std::size_t>(added)]);
  return false;
}

// Places follow from where a site stands in its source, not in memory: a seeded run can be repeated.
TableSite* claim_site(TableSites& sites, const void* owner, std::uint32_t line, std::uint64_t number) noexcept {
  TableSite& site = sites.sites[hash::mix(number << 32 | line) % TableSites::kSites];
  if (site.owner == owner) return &site;
  if (site.owner != nullptr && ++site.intruders < kMostIntruders) return nullptr;
  site = TableSite();
  site.owner = owner;
  return &site;
}

}  // namespace

Table* make_and_learn(Heap& heap, Prototype* p, Instruction* instruction) {
  TableSite* site = claim_site(heap.internals().table_sites, instruction, p->line_defined,
                               static_cast<std::uint64_t>(instruction - p->code.items));
  if (site == nullptr) return make(heap);
  const bool due = ++site->executions % kSamplePeriod == 0;
  if (due && site->sample != nullptr) {
    instruction->u = judge(heap, p, *site);
    site->sample = nullptr;
    if (instruction->u != 0) *site = TableSite();
  }
  Table* t = make(heap);
  if (site->owner != nullptr && site->sample == nullptr) site->sample = t;
  return t;
}

Table* make_from_and_learn(Heap& heap, Prototype* p, std::uint32_t index) {
  TableTemplate* from = p->templates[index];
  const bool due = ++from->learned % kSamplePeriod == 0;
  TableSite* site = claim_site(heap.internals().table_sites, from, p->line_defined, std::uint64_t{1} << 31 | index);
  if (site != nullptr && due && site->sample != nullptr) {
    if (!judge_template(heap, p, index, *site)) from->learned = kLearnedEnough;
    site->sample = nullptr;
  }
  Table* t = make_from(heap, from);
  if (site == nullptr) return t;
  if (from->learned >= kLearnedEnough) *site = TableSite();
  else if (site->sample == nullptr) site->sample = t;
  return t;
}

}  // namespace baton::table
