"""What convolutional networks replaced: hand-crafted features, encoded, under a linear SVM.

``model=pixels_svm``, ``hog_svm``, ``bovw_spm_svm`` and ``fisher_svm`` are entered by
:mod:`repronet.classical.choices`, which is imported as an installed plugin is: when one of these names is asked for.
"""
