/* Tests of mls_train.h: a file of train/ for each promise, all in one program. */
#include <stddef.h>
static void *test_malloc(size_t size);
static void test_free(void *memory);
#define MLS_MALLOC(size) test_malloc(size)
#define MLS_FREE(p)      test_free(p)
#define MLS_IMPLEMENTATION
#include "../mls_train.h"
#include "tensor.h"
#include <fenv.h>
#include <math.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "train/allocator.h"
#include "train/folder.h"
#include "train/rows.h"

#include "train/rig.h"
#include "train/trial.h"

#include "train/checkpoint.c"
#include "train/custom.c"
#include "train/data.c"
#include "train/evaluate.c"
#include "train/floats.c"
#include "train/folders.c"
#include "train/frozen.c"
#include "train/golden.c"
#include "train/gradients.c"
#include "train/inference.c"
#include "train/nonfinite.c"
#include "train/optimizer.c"
#include "train/plan.c"
#include "train/refused.c"
#include "train/step.c"

#include "train/depthwise.c"
#include "train/files.c"
#include "train/norm.c"

#include "train/change.c"
#include "train/fused.c"
#include "train/misuse.c"
#include "train/open.c"
#include "train/predict.c"
#include "train/products.c"
#include "train/inspect.c"
#include "train/shiftquant.c"
#include "train/tensors.c"
#include "train/texts.c"

#include "train/activations.c"

T_MAIN(FUSED_TESTS, GRADIENTS_TESTS, GOLDEN_TESTS, CUSTOM_TESTS, EVALUATE_TESTS, STEP_TESTS,
       PLAN_TESTS, INFERENCE_TESTS, REFUSED_TESTS, NONFINITE_TESTS, DEPTHWISE_TESTS, NORM_TESTS,
       FLOATS_TESTS, CHECKPOINT_TESTS, FILES_TESTS FOLDERS_TESTS DATA_TESTS, TEXTS_TESTS,
       PRODUCTS_TESTS, INSPECT_TESTS, SHIFTQUANT_TESTS, CHANGE_TESTS, MISUSE_TESTS, TENSORS_TESTS,
       OPEN_TESTS, OPTIMIZER_TESTS, PREDICT_TESTS, FROZEN_TESTS, ACTIVATIONS_TESTS)
