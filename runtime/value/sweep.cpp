// Sweeping: dead objects become free cells, survivors become white again.
//
// The unit is a page. Its cells are walked in address order, once, which is what the processor's
// prefetchers like; the free list is rebuilt on the way, so that later allocations walk memory upwards
// too. Who sweeps a page: an allocation whose class has no free cell (then the cells are used at once,
// still in the cache), or a step of the collector, class by class; `sweep` returns 0 when none is left.
//
// Rules
//  1. A dead object may refer to objects freed before it. free_contents therefore follows no reference,
//     with two exceptions that are kept consistent: an open upvalue and its coroutine refer to each
//     other. Whoever is freed first detaches the other: a coroutine closes its open upvalues (their
//     closures may live), an open upvalue unlinks itself from its coroutine's list. A dead upvalue in the
//     list of a dead coroutine is still a cell with an intact body, because freeing it unlinks it.
//  2. A dead short string is still in the intern table until its page is swept. A lookup that finds it
//     makes it alive again by repainting it (string.cpp); nothing else refers to it, so that is sound.
//  3. Nothing here allocates; release functions of userdata and machine stacks run here, possibly inside
//     an allocation, and touch no value.
//
// Large objects lie in a list of their own, swept one by one after the pages; a very large dead string is unmapped piece by
// piece, from its end, since that takes the system long where it has small pages only.
#include <algorithm>

#include "value/code_block.h"
#include "value/heap_internals.h"
#include "value/table_template.h"

namespace baton {

namespace {

constexpr std::size_t kLargeUnits = 32;     // cost of one large object
constexpr std::size_t kUnmapAtOnce = std::size_t{8} << 20;  // small pages take a tenth of a millisecond for each MB
constexpr std::size_t kUnmapAlignment = std::size_t{2} << 20;
constexpr std::uint32_t kLookAhead = 6;     // cells between freeing one and prefetching what another owns

}  // namespace

void Heap::Internals::free_prototype(Prototype* p) noexcept {
  if (p->code.items != nullptr) {
    free_buffer(reinterpret_cast<char*>(p->code.items) - prototype::kCodeHeaderBytes,
                prototype::kCodeHeaderBytes + p->code.size * sizeof(Instruction));
  }
  if (p->constants.items != nullptr) {
    const std::size_t before = prototype::guess_bytes(p);
    free_buffer(reinterpret_cast<char*>(p->constants.items) - before, before + p->constants.size * sizeof(Value));
  }
  free_buffer(p->prototypes.items, p->prototypes.size * sizeof(Prototype*));
  free_buffer(p->upvalues.items, p->upvalues.size * sizeof(UpvalueDescription));
  free_buffer(p->lines.items, p->lines.size * sizeof(std::uint32_t));
  free_buffer(p->locals.items, p->locals.size * sizeof(LocalDescription));
  for (TableTemplate* t : p->templates) free_buffer(t, TableTemplate::bytes(t->cell_bytes));
  free_buffer(p->templates.items, p->templates.size * sizeof(TableTemplate*));
}

void Heap::Internals::free_coroutine(Coroutine* co) noexcept {
  if (co->fiber != nullptr && !co->in_place && release_fiber != nullptr) release_fiber(release_fiber_context, co);
  while (co->open_upvalues != nullptr) {
    Upvalue* u = co->open_upvalues;
    co->open_upvalues = u->next_open;
    new (&u->closed) Value(*u->location);
    u->location = &u->closed;
  }
  *co->all_previous = co->all_next;
  if (co->all_next != nullptr) co->all_next->all_previous = co->all_previous;
  if (co->stack != nullptr && !is_retired(co)) {
    free_buffer(co->stack, stack_bytes(co));
    free_buffer(co->frames, frames_bytes(co));
  }
  free_buffer(co->to_be_closed, co->to_be_closed_capacity * sizeof(std::uint32_t));
}

void Heap::Internals::free_contents(Object* object) noexcept {
  switch (object->kind) {
    case ObjectKind::kShortString:
      unlink_short_string(static_cast<String*>(object));
      return;
    case ObjectKind::kTable: {
      Table* t = static_cast<Table*>(object);
      if (t->array_size != 0 && !is_in_cell(t, t->array)) free_buffer(t->array, t->array_size * sizeof(Value));
      if (t->nodes != &table::kEmptyNode && !is_in_cell(t, t->nodes)) free_buffer(t->nodes, node_count(t) * sizeof(Node));
      return;
    }
    case ObjectKind::kUpvalue: {
      Upvalue* u = static_cast<Upvalue*>(object);
      if (!u->is_open()) return;
      *u->previous_link = u->next_open;
      if (u->next_open != nullptr) u->next_open->previous_link = u->previous_link;
      return;
    }
    case ObjectKind::kUserdata: {
      Userdata* u = static_cast<Userdata*>(object);
      if (u->release != nullptr) u->release(u->block());
      return;
    }
    case ObjectKind::kCoroutine:
      free_coroutine(static_cast<Coroutine*>(object));
      return;
    case ObjectKind::kPrototype:
      free_prototype(static_cast<Prototype*>(object));
      return;
    default:
      return;  // long strings and functions own nothing
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Pages

void Heap::Internals::note_swept(std::size_t used_before) noexcept {
  if (used() >= used_before) return;
  const std::size_t freed = used_before - used();
  estimate -= std::min(estimate, freed);
  trigger -= std::min(trigger, freed);
  remaining -= static_cast<std::ptrdiff_t>(freed);
  accounted -= freed;
}

void Heap::Internals::begin_sweep() noexcept {
  estimate = used();
  phase = CyclePhase::kSweep;
  sweep_class = 0;
  objects.begin_sweep();
  large_unswept = large;
  large = nullptr;
}

inline void Heap::Internals::prefetch_contents(const Object* object, std::uint8_t dead) const noexcept {
  if ((object->mark & dead) == 0) return;
  if (object->kind == ObjectKind::kTable) {
    __builtin_prefetch(static_cast<const Table*>(object)->array, 1);
    __builtin_prefetch(static_cast<const Table*>(object)->nodes, 1);
  } else if (object->kind == ObjectKind::kShortString) {
    __builtin_prefetch(&strings.buckets[static_cast<const String*>(object)->hash & strings.mask], 1);
  }
}

void Heap::Internals::sweep_page(Page* page) noexcept {
  const std::uint8_t dead = other_white();
  const std::uint32_t cell_bytes = page->cell_bytes;
  const std::size_t before = used();
  Cell* first = nullptr;
  Cell** link = &first;
  std::uint32_t used = 0;
  std::uint32_t freed = 0;
  char* cell_address = page->cells();
  for (std::uint32_t i = page->carved; i > 0; --i, cell_address += cell_bytes) {
    Object* object = reinterpret_cast<Object*>(cell_address);
    if (object->kind != ObjectKind::kFree) {
      if ((object->mark & dead) == 0) {
        object->mark = static_cast<std::uint8_t>((object->mark & ~kMarkColours) | white);
        ++used;
        continue;
      }
      if (i > kLookAhead) prefetch_contents(reinterpret_cast<Object*>(cell_address + kLookAhead * cell_bytes), dead);
      free_contents(object);
      reinterpret_cast<Cell*>(cell_address)->header = 0;
      Allocator::poison(cell_address, cell_bytes);
      ++freed;
    }
    Cell* cell = reinterpret_cast<Cell*>(cell_address);
    *link = cell;
    link = &cell->next;
  }
  *link = nullptr;
  page->free = first;
  page->used = used;
  discharge(static_cast<std::size_t>(freed) * cell_bytes);
  objects.finish_page(page);
  note_swept(before);
}

bool Heap::Internals::sweep_next_page(std::uint32_t index) noexcept {
  if (phase != CyclePhase::kSweep) return false;
  SizeClass& c = objects.size_class(index);
  Page* page = c.unswept;
  if (page == nullptr) return false;
  c.unswept = page->next;
  sweep_page(page);
  return true;
}

// Sweeps the first large object, or unmaps some of it if it is a very large dead string.
void Heap::Internals::sweep_large() noexcept {
  LargeHeader* header = large_unswept;
  Object* object = header->object();
  if ((object->mark & other_white()) == 0) {
    large_unswept = header->next;
    object->mark = static_cast<std::uint8_t>((object->mark & ~kMarkColours) | white);
    header->next = large;
    large = header;
    return;
  }
  const std::size_t before = used();
  if (header->bytes > kUnmapAtOnce && object->kind == ObjectKind::kLongString) {  // nothing looks at a dead one
    const std::size_t kept = (header->bytes - kUnmapAtOnce / 2) & ~(kUnmapAlignment - 1);
    unmap_buffer(reinterpret_cast<char*>(header) + kept, header->bytes - kept);
    discharge(header->bytes - kept);
    header->bytes = kept;
  } else {
    large_unswept = header->next;
    free_contents(object);
    free_block(header, header->bytes);
  }
  note_swept(before);
}

std::size_t Heap::Internals::sweep(std::size_t budget) noexcept {
  std::size_t done = 0;
  while (done < budget && sweep_class < kSizeClassCount) {
    const Page* page = objects.size_class(sweep_class).unswept;
    if (page == nullptr) {
      ++sweep_class;
    } else {
      done += page->carved * 2 + 1;
      sweep_next_page(sweep_class);
    }
  }
  while (done < budget && large_unswept != nullptr) {
    sweep_large();
    done += kLargeUnits;
  }
  return done;
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of the heap

void Heap::Internals::free_everything() noexcept {
  for (std::uint32_t index = 0; index < kSizeClassCount; ++index) {
    for (Page* page = objects.size_class(index).pages; page != nullptr; page = page->next) {
      char* cell = page->cells();
      for (std::uint32_t i = 0; i < page->carved; ++i, cell += page->cell_bytes) {
        Object* object = reinterpret_cast<Object*>(cell);
        // Strings stay in the table: it goes as a whole.
        if (object->kind != ObjectKind::kFree && object->kind != ObjectKind::kShortString) free_contents(object);
      }
    }
  }
  for (LargeHeader* list : {large, large_unswept}) {
    while (list != nullptr) {
      LargeHeader* header = list;
      list = header->next;
      free_contents(header->object());
      free_block(header, header->bytes);
    }
  }
  free_spare_stacks();
  free_buffer(strings.buckets, (std::size_t{strings.mask} + 1) * sizeof *strings.buckets);
  if (strings.old != nullptr) free_buffer(strings.old, (std::size_t{strings.old_mask} + 1) * sizeof *strings.old);
}

}  // namespace baton
