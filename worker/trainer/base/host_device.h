// Marks a function that runs on the host and on a CUDA device.
#ifndef COPPICE_WORKER_TRAINER_BASE_HOST_DEVICE_H_
#define COPPICE_WORKER_TRAINER_BASE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define COPPICE_HOST_DEVICE __host__ __device__
#else
#define COPPICE_HOST_DEVICE
#endif

#endif  // COPPICE_WORKER_TRAINER_BASE_HOST_DEVICE_H_
