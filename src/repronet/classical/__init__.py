"""The methods that convolutional networks replaced: encoded hand-crafted features with a linear SVM.

``model=pixels_svm``, ``hog_svm``, ``bovw_spm_svm`` and ``fisher_svm`` are registered by
:mod:`repronet.classical.choices`, which is imported like an installed plugin: when one of these names is requested.
"""
