/* Tests of formats by role, by product and by layer: a file of formats/ for each promise, all in one
   program. */
#define MLS_IMPLEMENTATION
#include "../mls_train.h"
#include "tensor.h"
#include <math.h>

#include "formats/rig.h"

#include "formats/change.c"
#include "formats/products.c"
#include "formats/shiftquant.c"
#include "formats/texts.c"

T_MAIN(TEXTS_TESTS, PRODUCTS_TESTS, SHIFTQUANT_TESTS, CHANGE_TESTS)
