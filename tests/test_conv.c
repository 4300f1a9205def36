/* Tests of mls_conv.h: a file of conv/ for each promise, all in one program. */
#define MLS_IMPLEMENTATION
#include "../mls_conv.h"
#include "tensor.h"
#include <math.h>

#include "conv/run.h"

#include "conv/exact.c"
#include "conv/explained.c"
#include "conv/fp32.c"
#include "conv/fuzz.c"
#include "conv/memory.c"
#include "conv/prepared.c"
#include "conv/refused.c"
#include "conv/shapes.c"
#include "conv/stages.c"
#include "conv/sums.c"

/* The last one looks back at which kernels were at work. */
T_MAIN(REFUSED_TESTS, EXACT_TESTS, SUMS_TESTS, MEMORY_TESTS, FP32_TESTS, PREPARED_TESTS,
       EXPLAINED_TESTS, STAGES_TESTS, SHAPES_TESTS, FUZZ_TESTS)
