/* Tests of mls.h: a file of mls/ for each promise, all in one program. */
#define MLS_IMPLEMENTATION
#include "../mls.h"
#include "tensor.h"
#include "vectors/quantize.h"

#include "mls/oracle.h"

#include "mls/dequantize.c"
#include "mls/extremes.c"
#include "mls/format.c"
#include "mls/properties.c"
#include "mls/quantize.c"
#include "mls/random.c"
#include "mls/tensors.c"

T_MAIN(FORMAT_TESTS, TENSORS_TESTS, QUANTIZE_TESTS, EXTREMES_TESTS, PROPERTIES_TESTS,
       DEQUANTIZE_TESTS, RANDOM_TESTS)
