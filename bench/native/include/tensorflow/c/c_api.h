// What tfjs-node's binding uses of TensorFlow's C interface, which has been the same since TensorFlow 2.4. No package of a
// registry that has the libraries has its headers as well.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern "C" {

// Status, buffers, strings.

typedef enum { TF_OK = 0 } TF_Code;
typedef struct TF_Status TF_Status;
TF_Status* TF_NewStatus(void);
void TF_DeleteStatus(TF_Status*);
TF_Code TF_GetCode(const TF_Status*);
const char* TF_Message(const TF_Status*);

const char* TF_Version(void);

typedef struct TF_Buffer TF_Buffer;
TF_Buffer* TF_NewBuffer(void);
TF_Buffer* TF_NewBufferFromString(const void* bytes, size_t length);
void TF_DeleteBuffer(TF_Buffer*);

typedef struct {
  union {
    unsigned char raw[24];
    void* align;
  };
} TF_TString;
void TF_StringInit(TF_TString*);
void TF_StringCopy(TF_TString*, const char* from, size_t size);
const char* TF_StringGetDataPointer(const TF_TString*);
size_t TF_StringGetSize(const TF_TString*);
void TF_StringDealloc(TF_TString*);

// Tensors.

typedef enum {
  TF_FLOAT = 1,
  TF_INT32 = 3,
  TF_UINT8 = 4,
  TF_STRING = 7,
  TF_COMPLEX64 = 8,
  TF_INT64 = 9,
  TF_BOOL = 10,
  TF_RESOURCE = 20
} TF_DataType;
size_t TF_DataTypeSize(TF_DataType);

typedef struct TF_Tensor TF_Tensor;
TF_Tensor* TF_NewTensor(TF_DataType, const int64_t* dims, int rank, void* data, size_t length,
                        void (*deallocator)(void* data, size_t length, void* argument), void* argument);
TF_Tensor* TF_AllocateTensor(TF_DataType, const int64_t* dims, int rank, size_t length);
void TF_DeleteTensor(TF_Tensor*);
TF_DataType TF_TensorType(const TF_Tensor*);
int TF_NumDims(const TF_Tensor*);
int64_t TF_Dim(const TF_Tensor*, int index);
int64_t TF_TensorElementCount(const TF_Tensor*);
size_t TF_TensorByteSize(const TF_Tensor*);
void* TF_TensorData(const TF_Tensor*);

// Graphs and sessions, for SavedModels.

typedef enum {
  TF_ATTR_STRING,
  TF_ATTR_INT,
  TF_ATTR_FLOAT,
  TF_ATTR_BOOL,
  TF_ATTR_TYPE,
  TF_ATTR_SHAPE
} TF_AttrType;
typedef struct TF_Graph TF_Graph;
typedef struct TF_Operation TF_Operation;
typedef struct TF_Session TF_Session;
typedef struct TF_SessionOptions TF_SessionOptions;
typedef struct {
  TF_Operation* oper;
  int index;
} TF_Output;
TF_Graph* TF_NewGraph(void);
void TF_DeleteGraph(TF_Graph*);
TF_Operation* TF_GraphOperationByName(TF_Graph*, const char* name);
TF_SessionOptions* TF_NewSessionOptions(void);
void TF_DeleteSessionOptions(TF_SessionOptions*);
TF_Session* TF_LoadSessionFromSavedModel(const TF_SessionOptions*, const TF_Buffer* run_options, const char* folder,
                                         const char* const* tags, int tag_count, TF_Graph*, TF_Buffer* meta_graph,
                                         TF_Status*);
void TF_DeleteSession(TF_Session*, TF_Status*);
void TF_SessionRun(TF_Session*, const TF_Buffer* run_options, const TF_Output* inputs, TF_Tensor* const* input_values,
                   int input_count, const TF_Output* outputs, TF_Tensor** output_values, int output_count,
                   const TF_Operation* const* targets, int target_count, TF_Buffer* run_metadata, TF_Status*);

typedef struct TF_DeviceList TF_DeviceList;
void TF_DeleteDeviceList(TF_DeviceList*);
int TF_DeviceListCount(const TF_DeviceList*);
const char* TF_DeviceListName(const TF_DeviceList*, int index, TF_Status*);
const char* TF_DeviceListType(const TF_DeviceList*, int index, TF_Status*);

// Operations one by one.

typedef struct TFE_ContextOptions TFE_ContextOptions;
TFE_ContextOptions* TFE_NewContextOptions(void);
void TFE_DeleteContextOptions(TFE_ContextOptions*);

typedef struct TFE_Context TFE_Context;
TFE_Context* TFE_NewContext(const TFE_ContextOptions*, TF_Status*);
void TFE_DeleteContext(TFE_Context*);
TF_DeviceList* TFE_ContextListDevices(TFE_Context*, TF_Status*);

typedef struct TFE_TensorHandle TFE_TensorHandle;
TFE_TensorHandle* TFE_NewTensorHandle(const TF_Tensor*, TF_Status*);
void TFE_DeleteTensorHandle(TFE_TensorHandle*);
TF_DataType TFE_TensorHandleDataType(TFE_TensorHandle*);
int TFE_TensorHandleNumDims(TFE_TensorHandle*, TF_Status*);
int64_t TFE_TensorHandleDim(TFE_TensorHandle*, int index, TF_Status*);
TF_Tensor* TFE_TensorHandleResolve(TFE_TensorHandle*, TF_Status*);
TFE_TensorHandle* TFE_TensorHandleCopyToDevice(TFE_TensorHandle*, TFE_Context*, const char* device, TF_Status*);

typedef struct TFE_Op TFE_Op;
TFE_Op* TFE_NewOp(TFE_Context*, const char* name, TF_Status*);
void TFE_DeleteOp(TFE_Op*);
void TFE_OpAddInput(TFE_Op*, TFE_TensorHandle*, TF_Status*);
void TFE_OpSetAttrString(TFE_Op*, const char* name, const void* value, size_t length);
void TFE_OpSetAttrInt(TFE_Op*, const char* name, int64_t value);
void TFE_OpSetAttrFloat(TFE_Op*, const char* name, float value);
void TFE_OpSetAttrBool(TFE_Op*, const char* name, unsigned char value);
void TFE_OpSetAttrType(TFE_Op*, const char* name, TF_DataType value);
void TFE_OpSetAttrShape(TFE_Op*, const char* name, const int64_t* dims, int rank, TF_Status*);
void TFE_OpSetAttrIntList(TFE_Op*, const char* name, const int64_t* values, int count);
void TFE_OpSetAttrFloatList(TFE_Op*, const char* name, const float* values, int count);
void TFE_OpSetAttrBoolList(TFE_Op*, const char* name, const unsigned char* values, int count);
void TFE_Execute(TFE_Op*, TFE_TensorHandle** results, int* result_count, TF_Status*);
}

// The libraries' names for what the binding calls otherwise.
#define TF_TString_Init TF_StringInit
#define TF_TString_Copy TF_StringCopy
#define TF_TString_GetDataPointer TF_StringGetDataPointer
#define TF_TString_GetSize TF_StringGetSize
#define TF_TString_Dealloc TF_StringDealloc
