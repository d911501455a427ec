/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h over upstream's tflite::MicroInterpreter, which arrives as a library (README.md). The arena, from its start:
 *
 *   struct engine | upstream's tensors and scratch | free | the copy of the input, upstream's own records
 *
 * What this adds to upstream, to keep the promises of engine.h:
 *
 * The input has a place of its own and is copied to upstream's tensor, whose memory later operators reuse, before each
 * inference: the input's bytes of arena, and about half an instruction for each. Upstream has neither.
 *
 * A model is checked first (model_check.h). Beyond that, rule 2 holds as far as upstream's kernels check the parameters
 * of their operators.
 *
 * Where upstream halts (a check or assertion of its own failed) or would write through a null pointer (an arena that is
 * too small), this goes back to its caller with an error instead. Both need one pointer outside the arena, `guarded`,
 * because upstream's log has no context: it is set only while a call is in upstream, whose library has such state too.
 *
 * There is no heap: upstream's messages and assertions end here, and an image in which anything asked newlib for memory
 * would not link.
 */
#include <cassert>
#include <csetjmp>
#include <cstring>
#include <new>

#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "model_check.h"
#include "text.h"

#ifndef TJ_TFLM_VERSION
#error "TJ_TFLM_VERSION: upstream's commit or \"unknown\", without quotes, see host/tflm.py"
#endif
#define TEXT_OF(x)  #x
#define VALUE_OF(x) TEXT_OF(x)

namespace
{

/* A call into upstream that may be given up. */
struct Guard {
    jmp_buf back;
    engine_error error;
};

Guard *guarded;

constexpr char HALT[] = "HALTED"; /* what upstream says before it loops for ever (kernels/op_macros.h) */

[[noreturn]] void give_up(enum engine_status status)
{
    guarded->error.status = status;
    std::longjmp(guarded->back, 1); /* upstream has no destructors that would have to run */
}

/* Upstream's own, but for this: memory that is not there ends the load. Not every caller in upstream checks, and
 * upstream itself lets a lasting piece grow down over temporary ones. */
class Allocator : public tflite::SingleArenaBufferAllocator
{
  public:
    using SingleArenaBufferAllocator::SingleArenaBufferAllocator;

    uint8_t *AllocatePersistentBuffer(size_t bytes, size_t alignment) override
    {
        const size_t left = GetAvailableMemory(1);
        const size_t used = GetPersistentUsedBytes();
        uint8_t *const memory = SingleArenaBufferAllocator::AllocatePersistentBuffer(bytes, alignment);
        return given(GetPersistentUsedBytes() - used <= left ? memory : nullptr, bytes, left);
    }

    uint8_t *AllocateTemp(size_t bytes, size_t alignment) override
    {
        return given(SingleArenaBufferAllocator::AllocateTemp(bytes, alignment), bytes, GetAvailableMemory(alignment));
    }

    TfLiteStatus ResizeBuffer(uint8_t *buffer, size_t bytes, size_t alignment) override
    {
        const size_t left = GetAvailableMemory(alignment);
        const TfLiteStatus status = SingleArenaBufferAllocator::ResizeBuffer(buffer, bytes, alignment);
        (void)given(status == kTfLiteOk ? buffer : nullptr, bytes, left);
        return status;
    }

  private:
    static uint8_t *given(uint8_t *memory, size_t bytes, size_t left)
    {
        if (memory == nullptr && guarded != nullptr) {
            (void)refuse(&guarded->error, ENGINE_E_ARENA, "arena: %u bytes more wanted, %u left",
                         static_cast<unsigned>(bytes), static_cast<unsigned>(left));
            give_up(ENGINE_E_ARENA);
        }
        return memory;
    }

    TF_LITE_REMOVE_VIRTUAL_DELETE
};

/* Upstream's own; what it has no room to plan is a matter of the arena, too. */
class Planner : public tflite::GreedyMemoryPlanner
{
  public:
    TfLiteStatus AddBuffer(int bytes, int first, int last) override
    {
        return added(GreedyMemoryPlanner::AddBuffer(bytes, first, last));
    }

    TfLiteStatus AddBuffer(int bytes, int first, int last, int offset) override
    {
        return added(GreedyMemoryPlanner::AddBuffer(bytes, first, last, offset));
    }

  private:
    TfLiteStatus added(TfLiteStatus status)
    {
        if (status != kTfLiteOk && guarded != nullptr) {
            (void)refuse(&guarded->error, ENGINE_E_ARENA, "arena: no room to plan more than %d tensors",
                         GetBufferCount());
            give_up(ENGINE_E_ARENA);
        }
        return status;
    }

    TF_LITE_REMOVE_VIRTUAL_DELETE
};

/* Upstream tells of an operator's start and end; one that runs a subgraph would tell of those inside as well. */
class Profiler : public tflite::MicroProfilerInterface
{
  public:
    Profiler(engine_observer *observer, void *context) : observer_(observer), context_(context)
    {
    }

    uint32_t BeginEvent(const char *) override
    {
        return depth_++;
    }

    void EndEvent(uint32_t depth) override
    {
        depth_ = depth;
        if (depth == 0) {
            observer_(context_, index_++);
        }
    }

  private:
    engine_observer *observer_;
    void *context_;
    uint32_t depth_ = 0;
    uint32_t index_ = 0;

    TF_LITE_REMOVE_VIRTUAL_DELETE
};

class Interpreter : public tflite::MicroInterpreter
{
  public:
    using MicroInterpreter::MicroInterpreter;

    /* NULL: none, and then upstream makes no calls. It offers no other way after its constructor. */
    void set_profiler(tflite::MicroProfilerInterface *profiler)
    {
        const_cast<TfLiteContext &>(context()).profiler = profiler;
    }
};

/* What the official models need, and what engine/tflite_c knows besides. */
class Operators : public tflite::MicroMutableOpResolver<22>
{
  public:
    Operators()
    {
        (void)AddAdd();
        (void)AddAveragePool2D();
        (void)AddConcatenation();
        (void)AddConv2D();
        (void)AddDepthwiseConv2D();
        (void)AddDequantize();
        (void)AddFullyConnected();
        (void)AddLogistic();
        (void)AddMaxPool2D();
        (void)AddMean();
        (void)AddMul();
        (void)AddPack();
        (void)AddPad();
        (void)AddPadV2();
        (void)AddQuantize();
        (void)AddRelu();
        (void)AddRelu6();
        (void)AddReshape();
        (void)AddShape();
        (void)AddSoftmax();
        (void)AddStridedSlice();
        (void)AddSub();
    }

  private:
    TF_LITE_REMOVE_VIRTUAL_DELETE
};

} // namespace

struct engine {
    engine(const tflite::Model *model, uint8_t *memory, size_t bytes)
        : allocator(memory, bytes), upstream(tflite::MicroAllocator::Create(&allocator, &planner)),
          interpreter(model, operators, upstream)
    {
    }

    Operators operators;
    Allocator allocator;
    Planner planner;
    tflite::MicroAllocator *upstream;
    Interpreter interpreter;
    engine_tensor input{}, output{}; /* input.data is the copy in front of upstream's tensor */
    void *upstream_input = nullptr;
};

/* Upstream's log. Defined here, its own (debug_log.cc) stays out of the image, and newlib's printf and heap with it. */
extern "C" void DebugLog(const char *format, va_list arguments)
{
    if (guarded == nullptr) {
        return;
    }
    if (guarded->error.text[0] == '\0') { /* the first message is nearest to the cause */
        (void)text_format(guarded->error.text, sizeof guarded->error.text, format, arguments);
    }
    if (std::strcmp(format, HALT) == 0) {
        give_up(ENGINE_E_UNSUPPORTED);
    }
}

/* newlib's assert(), which flatbuffers and some of upstream's kernels use, prints as well. */
extern "C" void __assert_func(const char *, int, const char *, const char *failed)
{
    if (guarded == nullptr) {
        __builtin_trap(); /* never seen: all of upstream runs guarded */
    }
    (void)refuse(&guarded->error, ENGINE_E_MODEL, "TFLM: not %s", failed);
    give_up(ENGINE_E_MODEL);
}

extern "C" int DebugVsnprintf(char *to, size_t bytes, const char *format, va_list arguments)
{
    return text_format(to, bytes, format, arguments);
}

/* Upstream describes its tensor; NULL stands for one that it could not make. */
static int describe(const TfLiteTensor *tensor, const char *what, engine_tensor *out, engine_error *error)
{
    if (tensor == nullptr || (tensor->type != kTfLiteInt8 && tensor->type != kTfLiteFloat32)) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "%s: type %s, want INT8 or FLOAT32", what,
                      tensor == nullptr ? "unknown" : TfLiteTypeGetName(tensor->type));
    }
    if (tensor->dims->size > ENGINE_MAX_RANK) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "%s: %d dimensions, want %d at most", what, tensor->dims->size,
                      static_cast<int>(ENGINE_MAX_RANK));
    }
    out->data = tensor->data.data;
    out->bytes = tensor->bytes;
    out->type = tensor->type == kTfLiteInt8 ? ENGINE_INT8 : ENGINE_FLOAT32;
    out->scale = tensor->type == kTfLiteInt8 ? tensor->params.scale : 0.0f;
    out->zero_point = tensor->type == kTfLiteInt8 ? tensor->params.zero_point : 0;
    out->rank = tensor->dims->size;
    for (int i = 0; i < tensor->dims->size; i++) {
        out->dims[i] = tensor->dims->data[i];
    }
    return ENGINE_OK;
}

/* Everything that upstream may give up: `guarded` is set. */
static int prepare(struct engine **engine, const void *model, void *arena, size_t arena_bytes, engine_error *error)
{
    auto *const memory = static_cast<uint8_t *>(arena) + sizeof(struct engine);
    auto *const made = new (arena) struct engine(tflite::GetModel(model), memory, arena_bytes - sizeof(struct engine));
    if (made->interpreter.AllocateTensors() != kTfLiteOk) {
        if (error->text[0] == '\0') { /* upstream was built without its messages */
            (void)refuse(error, ENGINE_E_UNSUPPORTED, "TFLM refuses the model");
        }
        return error->status = ENGINE_E_UNSUPPORTED;
    }
    int status = describe(made->interpreter.input(0), "input", &made->input, error);
    if (status == ENGINE_OK) {
        status = describe(made->interpreter.output(0), "output", &made->output, error);
    }
    if (status == ENGINE_OK) {
        made->upstream_input = made->input.data;
        made->input.data = made->upstream->AllocatePersistentBuffer(made->input.bytes);
        std::memset(made->input.data, 0, made->input.bytes);
        *engine = made;
    }
    return status;
}

static int check_arguments(const void *model, const void *arena, size_t arena_bytes, engine_error *error)
{
    if (model == nullptr || arena == nullptr) {
        return refuse(error, ENGINE_E_ARGUMENT, "%s: NULL", model == nullptr ? "model" : "arena");
    }
    if (reinterpret_cast<uintptr_t>(model) % ENGINE_ALIGN_BYTES != 0 ||
        reinterpret_cast<uintptr_t>(arena) % ENGINE_ALIGN_BYTES != 0) {
        return refuse(error, ENGINE_E_ARGUMENT, "model or arena: not aligned to %d bytes",
                      static_cast<int>(ENGINE_ALIGN_BYTES));
    }
    if (arena_bytes < sizeof(struct engine)) {
        return refuse(error, ENGINE_E_ARENA, "arena: %u bytes, %u needed for TFLM itself",
                      static_cast<unsigned>(arena_bytes), static_cast<unsigned>(sizeof(struct engine)));
    }
    return ENGINE_OK;
}

int engine_load(struct engine **engine, const void *model, size_t model_bytes, void *arena, size_t arena_bytes,
                struct engine_error *error)
{
    if (engine == nullptr) {
        return refuse(error, ENGINE_E_ARGUMENT, "engine: NULL");
    }
    *engine = nullptr;
    const int arguments = check_arguments(model, arena, arena_bytes, error);
    if (arguments != ENGINE_OK) {
        return arguments;
    }
    /* The list of operators is made again in its place by prepare(). */
    const int sound = model_check(model, model_bytes, *new (arena) Operators, error);
    if (sound != ENGINE_OK) {
        return sound;
    }
    Guard guard;
    guard.error.text[0] = '\0';
    guarded = &guard;
    const int status = setjmp(guard.back) == 0 ? prepare(engine, model, arena, arena_bytes, &guard.error)
                                               : static_cast<int>(guard.error.status);
    guarded = nullptr;
    if (status != ENGINE_OK) {
        *error = guard.error;
    }
    return status;
}

const struct engine_tensor *engine_input(const struct engine *engine)
{
    return &engine->input;
}

const struct engine_tensor *engine_output(const struct engine *engine)
{
    return &engine->output;
}

int engine_run(struct engine *engine)
{
    Guard guard;
    guard.error.text[0] = '\0';
    guarded = &guard;
    int status = ENGINE_E_UNSUPPORTED;
    if (setjmp(guard.back) == 0) {
        std::memcpy(engine->upstream_input, engine->input.data, engine->input.bytes);
        if (engine->interpreter.Invoke() == kTfLiteOk) {
            guarded = nullptr;
            return ENGINE_OK;
        }
    }
    guarded = nullptr;
    return status;
}

int engine_run_observed(struct engine *engine, engine_observer *observer, void *context)
{
#ifdef TF_LITE_STRIP_ERROR_STRINGS
    (void)engine, (void)observer, (void)context;
    return ENGINE_E_UNSUPPORTED; /* such a library tells its profiler nothing */
#else
    Profiler profiler(observer, context);
    engine->interpreter.set_profiler(&profiler);
    const int status = engine_run(engine);
    engine->interpreter.set_profiler(nullptr);
    return status;
#endif
}

size_t engine_arena_bytes(const struct engine *engine)
{
    return sizeof(struct engine) + engine->upstream->used_bytes();
}

const char *engine_name(void)
{
    return "tflm " VALUE_OF(TJ_TFLM_VERSION);
}
