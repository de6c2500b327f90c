// The inner loops of the widest instruction set that this processor has.
#pragma once
#include "loops.h"

const DenseLoops& dense_loops();
const NarrowLoops& narrow_loops();
const DepthwiseLoops& depthwise_loops();
const WinogradLoops& winograd_loops();
